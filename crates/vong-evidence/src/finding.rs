//! What a verifier can say of a package. The words are shared with the page that travels with every
//! package: the same code, the same place, in both.

use std::fmt::Write as _;

use serde::Serialize;
use vong_model::EventTime;

use crate::key::{Fingerprint, PublicKey};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The package is not what was signed.
    Change,
    /// Whoever relies on it should know.
    Note,
}

/// The language a verdict is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Vietnamese,
    English,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $severity:ident, $vi:literal, $en:literal;)*) => {
        /// A closed list of what can be found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it means, in one sentence.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Vietnamese) => $vi, (Self::$name, Language::English) => $en,)*
                }
            }
        }
    };
}

codes! {
    FileMissing: Change, "Thiếu tệp", "A file is missing";
    FileAdded: Change, "Có tệp lạ được thêm vào", "A file was added";
    FileChanged: Change, "Nội dung tệp đã bị thay đổi", "A file was changed";
    SignatureUnreadable: Change, "Không đọc được chữ ký của gói", "The package's signature cannot be read";
    SignatureWrong: Change, "Chữ ký của gói không đúng", "The package's signature is wrong";
    KeyUnexpected: Change, "Gói được ký bằng khoá khác với khoá mong đợi", "The package is signed with another key than expected";
    KeyContradicts: Change, "Khoá ghi trong bản kê khác với khoá đã ký", "The manifest names another key than the one that signed";
    ManifestEdited: Change, "Bản kê (manifest) đã bị sửa", "The manifest was edited";
    ManifestUnreadable: Change, "Không đọc được bản kê (manifest)", "The manifest cannot be read";
    CustodyEdited: Change, "Nhật ký bàn giao đã bị sửa", "The custody log was edited";
    CheckpointUnreadable: Change, "Không đọc được mốc niêm phong", "A checkpoint cannot be read";
    CheckpointWrong: Change, "Chữ ký của mốc niêm phong không đúng", "A checkpoint's signature is wrong";
    ProofWrong: Change, "Bằng chứng không dẫn tới mốc niêm phong", "A proof does not lead to its checkpoint";
    NotUnderItsSeal: Change, "Giờ của nhóm hình đã niêm phong mà không có nó: bị chèn vào, bị thay, hoặc đồng hồ máy chủ đã bị chỉnh lùi", "The group's hour was sealed without it: it was put in or replaced since, or the server's clock was set back";
    GroupFactsChanged: Change, "Thời gian, mất gói hoặc bảng khung hình không phải là điều đã ghi nhận khi thu", "Time, loss or frame table is not what was hashed at reception";
    ChainBroken: Change, "Chuỗi băm bị đứt: thiếu nhóm hình hoặc sai thứ tự", "The chain of hashes is broken: a group is missing or out of order";
    GapsWrong: Change, "Khoảng trống khai báo không khớp với các nhóm hình", "The declared gaps are not those between the groups";
    LossWrong: Change, "Số gói tin mất khai báo không khớp", "The declared packet loss is not that of the groups";
    ClipUnreadable: Change, "Không đọc được tệp video", "The video file cannot be read";
    ClipOfOtherCamera: Change, "Tệp video là của camera khác", "The video file is that of another camera";
    Reencoded: Change, "Video đã được mã hoá lại: không còn khung hình gốc nào", "The video was encoded anew: not one recorded frame is in it";
    FrameRemoved: Change, "Khung hình đã bị xoá", "A frame was removed";
    FrameAdded: Change, "Khung hình lạ đã được thêm vào", "A frame was added";
    FrameChanged: Change, "Khung hình đã bị thay đổi", "A frame was changed";
    MoreFrames: Change, "Còn nhiều khung hình khác bị thay đổi", "Further frames differ";
    GroupPayloadWrong: Change, "Khung hình của nhóm không phải là những gì đã thu", "A group's frames are not those received";
    DecoderChanged: Change, "Thông số giải mã đã bị thay đổi", "The decoder's parameters were changed";
    TimingChanged: Change, "Nhịp thời gian của video đã bị thay đổi", "The timing of the video was changed";
    ShownRangeChanged: Change, "Đoạn hiển thị của video đã bị thay đổi", "What the video shows of its frames was changed";
    ContainerRewritten: Change, "Tệp video đã được đóng gói lại; mọi khung hình vẫn là khung hình gốc", "The video file was packed anew; every frame is still the recorded one";
    ArchiveRewritten: Note, "Tệp nén đã được đóng gói lại hoặc bị sửa phần vỏ", "The archive was packed anew, or changed beside its files";
    NotSealed: Note, "Các nhóm hình chưa có mốc niêm phong của giờ; chỉ có chuỗi băm và chữ ký của gói", "Groups whose hour was not yet sealed: only the chain and the package's signature speak for them";
    SealGone: Note, "Giờ của các nhóm hình đã niêm phong, nhưng danh sách của mốc không còn được lưu", "Groups whose hour is sealed, but what was sealed is not kept any more";
    SealedLate: Note, "Các nhóm hình được niêm phong muộn, ở mốc của giờ sau", "Groups that missed the seal of their hour and stand under the next one";
    NotLinked: Note, "Nhóm hình đã thu trước nhóm này không có trong gói", "The group received before this one is not in the package";
    Gap: Note, "Không có hình trong khoảng này", "Nothing was recorded here";
    PacketLoss: Note, "Có gói tin bị mất khi thu", "Packets were lost while it was received";
    DamagedBefore: Note, "Khung hình đã hỏng trên đĩa trước khi xuất gói", "Frames were damaged on the disk before the package was made";
    Unreadable: Note, "Đoạn này đã được ghi nhưng ổ đĩa không còn đọc được khi xuất gói", "This was recorded, and the disk could not give it any more when the package was made";
    CameraSigned: Note, "Camera có ký vào luồng hình; chữ ký được giữ nguyên, chưa kiểm ở đây", "The camera signed its stream; the signatures are kept, not verified here";
}

/// One thing that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u64>,
    /// In the group, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// In the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_us: Option<i64>,
    /// Another camera, a fingerprint, a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: Code) -> Self {
        Self {
            code,
            file: None,
            camera: None,
            group: None,
            frame: None,
            line: None,
            checkpoint: None,
            count: None,
            at_us: None,
            until_us: None,
            detail: None,
        }
    }

    pub(crate) fn file(code: Code, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..Self::new(code) }
    }

    pub(crate) fn camera(code: Code, camera: &str) -> Self {
        Self { camera: Some(camera.to_owned()), ..Self::new(code) }
    }

    /// Sentence and place, in one line.
    pub fn tell(&self, language: Language) -> String {
        let Self { code, file, camera, group, frame, line, checkpoint, count, .. } = self;
        let vi = language == Language::Vietnamese;
        let mut told = code.text(language).to_owned();
        let mut place = |vi_word: &str, en_word: &str, value: Option<String>| {
            if let Some(value) = value {
                let separator = if told.contains(": ") { ", " } else { ": " };
                let word = if vi { vi_word } else { en_word };
                write!(told, "{separator}{word}{value}").expect("a string takes what is written");
            }
        };
        place("", "", file.clone());
        place("camera ", "camera ", camera.clone());
        place("nhóm hình ", "group ", group.map(|n| n.to_string()));
        place("khung hình ", "frame ", frame.map(|n| n.to_string()));
        place("dòng ", "line ", line.map(|n| n.to_string()));
        place("mốc ", "checkpoint ", checkpoint.map(|n| n.to_string()));
        place("số lượng ", "count ", count.map(|n| n.to_string()));
        place("lúc ", "at ", self.at_us.map(local_time));
        place("đến ", "until ", self.until_us.map(local_time));
        place("", "", self.detail.clone());
        told
    }
}

/// As in `2026-11-22 17:00:00.040 (+07:00)`: the time of Vietnam, which has no summer time.
pub(crate) fn local_time(micros: i64) -> String {
    let local = EventTime(micros.saturating_add(7 * 3_600_000_000)).to_string();
    let text = local.get(..23).unwrap_or(&local).replace('T', " ");
    format!("{text} (+07:00)")
}

/// What was found in a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order in which the rules were applied.
    pub findings: Vec<Finding>,
    /// Whose signature the package carries, if it can be read and is genuine.
    pub signed_by: Option<PublicKey>,
    /// The key was compared with one that is known from elsewhere, and is the same.
    pub key_confirmed: bool,
    /// Frames compared with the hashes taken when they were received.
    pub frames_verified: u64,
}

impl Report {
    /// Nothing was changed since the package was signed.
    pub fn is_intact(&self) -> bool {
        self.findings.iter().all(|finding| finding.code.severity() == Severity::Note)
    }

    /// The verdict and its reasons, for a person.
    pub fn tell(&self, language: Language) -> String {
        let vi = language == Language::Vietnamese;
        let mut told = String::new();
        let verdict = match (self.is_intact(), vi) {
            (true, true) => "NGUYÊN VẸN: không có gì bị thay đổi kể từ khi gói được ký.",
            (true, false) => "INTACT: nothing was changed since the package was signed.",
            (false, true) => "ĐÃ BỊ THAY ĐỔI: gói không còn như khi được ký.",
            (false, false) => "CHANGED: the package is not what was signed.",
        };
        told.push_str(verdict);
        told.push('\n');
        for finding in &self.findings {
            let mark = if finding.code.severity() == Severity::Change { "✗" } else { "·" };
            told.push_str(&format!("  {mark} {}\n", finding.tell(language)));
        }
        let frames = self.frames_verified;
        told.push_str(&match vi {
            true => format!("  Số khung hình đã đối chiếu: {frames}\n"),
            false => format!("  frames compared with what was received: {frames}\n"),
        });
        if let Some(key) = self.signed_by {
            told.push_str(&key_line(key.fingerprint(), self.key_confirmed, language));
        }
        told
    }
}

fn key_line(fingerprint: Fingerprint, confirmed: bool, language: Language) -> String {
    match (confirmed, language == Language::Vietnamese) {
        (true, true) => format!("  Khoá đã ký: {fingerprint} (đúng khoá mong đợi)\n"),
        (true, false) => format!("  signed by: {fingerprint} (the expected key)\n"),
        (false, true) => format!(
            "  Khoá đã ký: {fingerprint}\n  Hãy so dấu vân khoá này với dấu do cơ quan vận hành công bố.\n"
        ),
        (false, false) => format!(
            "  signed by: {fingerprint}\n  compare this fingerprint with the one its owner has made known.\n"
        ),
    }
}
