//! The seam to a picture model: what finds things in one picture, whatever it is made of.

/// A picture as rows of red, green and blue bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub width: u32,
    pub height: u32,
    /// `3 · width · height` bytes.
    pub pixels: Vec<u8>,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detection {
    /// `car`, `motorcycle`, `bus`, `truck`, `bicycle`, `person`, …
    pub kind: String,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom, as shares of the picture's width and height.
    pub region: [f32; 4],
}

/// Finds things in pictures. Runs in the worker, one picture at a time.
pub trait PictureModel {
    /// Pixels; pictures are made this wide before they are shown to the model.
    fn picture_width(&self) -> u32;

    /// What is in `picture`; empty when nothing is, an error in words when the model failed.
    fn detect(&mut self, picture: &Rgb) -> Result<Vec<Detection>, String>;
}
