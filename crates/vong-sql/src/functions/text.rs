//! `vn_search(text, query)` and `vn_fold(text)`: Vietnamese text without tone marks and case.
//!
//! People type `quang trung` and mean `Quảng Trung` or `Quang Trung`; precomposed and decomposed
//! spellings (Unicode NFC, NFD) fold to the same letters.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Lower case without diacritics; `đ` becomes `d`.
pub fn fold_vietnamese(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter_map(base_letter).collect()
}

fn base_letter(letter: char) -> Option<char> {
    let base = match letter {
        '\u{0300}'..='\u{036f}' => return None, // combining marks of decomposed text
        'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ' | 'ẩ'
        | 'ẫ' | 'ậ' => 'a',
        'đ' => 'd',
        'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => 'e',
        'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => 'i',
        'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ' | 'ở'
        | 'ỡ' | 'ợ' => 'o',
        'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => 'u',
        'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => 'y',
        other => other,
    };
    Some(base)
}

/// `vn_search(text, query)`: whether `text` contains `query`, both folded.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VnSearch {
    signature: Signature,
}

impl VnSearch {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for VnSearch {
    fn name(&self) -> &'static str {
        "vn_search"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [text, query] if is_text(text) && is_text(query) => {
                let text = if is_key(text) { text.clone() } else { DataType::Utf8 };
                Ok(vec![text, DataType::Utf8])
            }
            _ => plan_err!("vn_search takes (text, query), both text"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, query] = args.args.as_slice() else {
            return exec_err!("vn_search takes (text, query)");
        };
        let text = text.to_array(args.number_rows)?;
        let found = match query {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(query))) => {
                search_constant(&text, &fold_vietnamese(query))?
            }
            query => {
                let query = query.to_array(args.number_rows)?;
                search_each(&cast(&text, &DataType::Utf8)?, &query)
            }
        };
        Ok(ColumnarValue::Array(found))
    }
}

/// A dictionary column is searched once per distinct value, not once per row.
fn search_constant(text: &ArrayRef, folded_query: &str) -> Result<ArrayRef> {
    if let Some(dictionary) = text.as_dictionary_opt::<Int32Type>() {
        let found = search_constant(dictionary.values(), folded_query)?;
        return Ok(take(&found, dictionary.keys(), None)?);
    }
    let text = cast(text, &DataType::Utf8)?;
    let found: BooleanArray = text
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(|text| fold_vietnamese(text).contains(folded_query)))
        .collect();
    Ok(Arc::new(found))
}

fn search_each(text: &ArrayRef, query: &ArrayRef) -> ArrayRef {
    let pairs = text.as_string::<i32>().iter().zip(query.as_string::<i32>().iter());
    let found: BooleanArray = pairs
        .map(|(text, query)| Some(fold_vietnamese(text?).contains(&fold_vietnamese(query?))))
        .collect();
    Arc::new(found)
}

/// `vn_fold(text)`: lower case without diacritics.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VnFold {
    signature: Signature,
}

impl VnFold {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for VnFold {
    fn name(&self) -> &'static str {
        "vn_fold"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [text] if is_text(text) => Ok(vec![DataType::Utf8]),
            _ => plan_err!("vn_fold takes one text"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else {
            return exec_err!("vn_fold takes one text");
        };
        let text = text.to_array(args.number_rows)?;
        let folded: StringArray =
            text.as_string::<i32>().iter().map(|text| text.map(fold_vietnamese)).collect();
        Ok(ColumnarValue::Array(Arc::new(folded)))
    }
}

fn is_key(found: &DataType) -> bool {
    matches!(found, DataType::Dictionary(key, value)
        if **key == DataType::Int32 && **value == DataType::Utf8)
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Dictionary(_, value) => is_text(value),
        other => matches!(
            other,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null
        ),
    }
}
