//! What other agencies may see of a camera, as its row of the register says.
//!
//! Whoever belongs to the centre itself is governed by roles alone. Whoever acts for another agency
//! sees the cameras that were granted to it, and only as far as granted.

use std::fmt;
use std::str::FromStr;

/// How much of a camera is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// The live picture.
    Live,
    /// Recorded footage as well: play it, step through it, take it along.
    Clip,
}

impl Right {
    /// The word used in registers and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Clip => "clip",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Live, Self::Clip].into_iter().find(|right| right.as_str() == word)
    }
}

/// One agency's right, as in `police:clip`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub agency: String,
    pub right: Right,
}

/// Every agency's right to one camera, by agency, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    list: Vec<Grant>,
}

/// The text is no list of grants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongGrants {
    #[error("'{text}' is no grant: an agency and what it may see, as in police:clip")]
    Form { text: String },
    #[error("'{text}' grants neither live nor clip")]
    Right { text: String },
    #[error("agency '{agency}' holds more than small letters, digits, '-' and '_'")]
    Agency { agency: String },
    #[error("agency '{agency}' is granted something twice; clip includes live")]
    Twice { agency: String },
}

impl Grants {
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.list.iter()
    }

    /// Whether `agency` may do what needs `right`.
    pub fn allow(&self, agency: &str, right: Right) -> bool {
        self.list.iter().any(|grant| grant.agency == agency && grant.right >= right)
    }
}

impl FromStr for Grants {
    type Err = WrongGrants;

    /// `police:clip;transport:live`; spaces around the parts do not matter, an empty text is none.
    fn from_str(text: &str) -> Result<Self, WrongGrants> {
        let mut list: Vec<Grant> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let form = || WrongGrants::Form { text: part.to_owned() };
            let (agency, right) = part.split_once(':').ok_or_else(form)?;
            let (agency, right) = (agency.trim(), right.trim());
            if agency.is_empty() {
                return Err(form());
            }
            let is_plain =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
            if !agency.bytes().all(is_plain) {
                return Err(WrongGrants::Agency { agency: agency.to_owned() });
            }
            let right = Right::from_word(right)
                .ok_or_else(|| WrongGrants::Right { text: part.to_owned() })?;
            if list.iter().any(|grant| grant.agency == agency) {
                return Err(WrongGrants::Twice { agency: agency.to_owned() });
            }
            list.push(Grant { agency: agency.to_owned(), right });
        }
        list.sort();
        Ok(Self { list })
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Grant { agency, right }) in self.list.iter().enumerate() {
            let between = if place == 0 { "" } else { ";" };
            write!(f, "{between}{agency}:{}", right.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let told = text.parse::<Grants>().map_or_else(|e| e.to_string(), |g| g.to_string());
        assert_eq!(told, expected);
    }

    #[test]
    fn grants_are_read_from_the_register_or_refused_by_name() {
        check("", "");
        check("transport:live;police:clip", "police:clip;transport:live");
        check(" police : clip ; ", "police:clip");
        check("police", "'police' is no grant: an agency and what it may see, as in police:clip");
        check(":clip", "':clip' is no grant: an agency and what it may see, as in police:clip");
        check("police:all", "'police:all' grants neither live nor clip");
        check(
            "Công an:clip",
            "agency 'Công an' holds more than small letters, digits, '-' and '_'",
        );
        check(
            "police:clip;police:live",
            "agency 'police' is granted something twice; clip includes live",
        );
    }

    #[test]
    fn footage_includes_the_live_picture_and_not_the_other_way_round() {
        let grants: Grants = "police:clip;transport:live".parse().unwrap();
        assert!(grants.allow("police", Right::Live) && grants.allow("police", Right::Clip));
        assert!(grants.allow("transport", Right::Live) && !grants.allow("transport", Right::Clip));
        assert!(!grants.allow("press", Right::Live));
    }
}
