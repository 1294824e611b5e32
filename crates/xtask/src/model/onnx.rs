//! ONNX files, as much of their writing as a convolutional network needs.
//!
//! An ONNX file is one Protocol Buffers message; the numbers of the fields are those of `onnx.proto`
//! (ONNX 1.18, IR version 8, operator set 13).

/// Element types of `TensorProto.DataType`.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// A Protocol Buffers message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u64, value: &Message) {
        self.bytes(field, &value.0);
    }
}

/// The graph of a model: nodes in the order they are computed, and the weights they use.
#[derive(Default)]
pub(super) struct Graph {
    message: Message,
    constants: usize,
}

impl Graph {
    /// A constant of 32-bit floats; gives its name.
    pub(super) fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(FLOAT, shape, &raw)
    }

    /// A constant of 64-bit integers; gives its name.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(INT64, &[values.len()], &raw)
    }

    fn constant(&mut self, element: u64, shape: &[usize], raw: &[u8]) -> String {
        let name = format!("c{}", self.constants);
        self.constants += 1;
        let mut tensor = Message::default();
        for side in shape {
            tensor.number(1, *side as u64);
        }
        tensor.number(2, element);
        tensor.text(8, &name);
        tensor.bytes(9, raw);
        self.message.message(5, &tensor);
        name
    }

    /// An operation; its output bears its name.
    pub(super) fn node(
        &mut self,
        operation: &str,
        inputs: &[&str],
        name: &str,
        attributes: &[(&str, Vec<i64>)],
    ) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        node.text(2, name);
        node.text(3, name);
        node.text(4, operation);
        for (attribute, values) in attributes {
            node.message(5, &attribute_of(attribute, values));
        }
        self.message.message(1, &node);
    }

    /// The whole file, of one input and these outputs, each with its shape.
    pub(super) fn model(
        mut self,
        input: (&str, &[usize]),
        outputs: &[(&str, &[usize])],
    ) -> Vec<u8> {
        self.message.text(2, "coco_ssdlite");
        self.message.message(11, &value(input.0, input.1));
        for (name, shape) in outputs {
            self.message.message(12, &value(name, shape));
        }
        let mut operators = Message::default();
        operators.text(1, "");
        operators.number(2, 13);
        let mut model = Message::default();
        model.number(1, 8);
        model.text(2, "vong");
        model.message(7, &self.message);
        model.message(8, &operators);
        model.0
    }
}

/// `axis` and `group` are single integers, all else that convolutions need are lists.
fn attribute_of(name: &str, values: &[i64]) -> Message {
    const INT: u64 = 2;
    const INTS: u64 = 7;
    let mut attribute = Message::default();
    attribute.text(1, name);
    match (name, values) {
        ("axis" | "group", [value]) => {
            attribute.number(3, value.cast_unsigned());
            attribute.number(20, INT);
        }
        _ => {
            for value in values {
                attribute.number(8, value.cast_unsigned());
            }
            attribute.number(20, INTS);
        }
    }
    attribute
}

fn value(name: &str, shape: &[usize]) -> Message {
    let mut sides = Message::default();
    for side in shape {
        let mut dimension = Message::default();
        dimension.number(1, *side as u64);
        sides.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
    tensor.message(2, &sides);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name);
    value.message(2, &kind);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_varints() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "ab");
        assert_eq!(message.0, [0x08, 0x96, 0x01, 0x12, 0x02, b'a', b'b']);
    }
}
