//! What a person should know of a camera that was looked at, and do: in Vietnamese and English.

use vong_wire::probe::{Advice, CameraProbe, ProbedVideo};

use crate::error::Error;

/// A key frame should come at least so often, seconds.
const LONGEST_KEY_INTERVAL_S: f64 = 4.0;
const CLOCK_LIMIT_MS: i64 = 2_000;

/// Advice on `report`, most important first.
pub(super) fn about(report: &CameraProbe, error: Option<&Error>) -> Vec<Advice> {
    let mut all = Vec::new();
    match error {
        Some(error) => all.push(mend(error)),
        None => all.push(advice(
            "Dùng được: có hình và ghi lại được.",
            "Usable: pictures come and can be recorded.",
        )),
    }
    if let Some(video) = &report.video {
        picture(video, &mut all);
    }
    if error.is_none() {
        clock(report.clock_offset_ms, &mut all);
    }
    all
}

/// For a camera that is usable only without its metadata track.
pub(super) fn metadata() -> Advice {
    advice(
        "Hình tốt, nhưng kênh metadata ONVIF của máy quay hỏng và bị bỏ qua: cập nhật phần mềm máy quay nếu cần sự kiện của nó.",
        "The picture is good, but the camera's ONVIF metadata track is broken and left out: update its firmware if its events are needed.",
    )
}

fn advice(vi: &str, en: &str) -> Advice {
    Advice { vi: vi.to_owned(), en: en.to_owned() }
}

fn mend(error: &Error) -> Advice {
    match error {
        Error::Address(_) => advice(
            "Địa chỉ sai: viết dạng rtsp://192.168.1.20:554/duong-dan, không kèm tên và mật khẩu.",
            "The address is wrong: write rtsp://192.168.1.20:554/path, without name and password.",
        ),
        Error::Name { .. } => advice(
            "Không tìm ra địa chỉ của tên máy: kiểm tra tên, hoặc dùng địa chỉ số.",
            "The host name has no address: check the name, or write the number.",
        ),
        Error::OutsideNetworks { .. } => advice(
            "Địa chỉ nằm ngoài các mạng cho phép: nếu là máy của ta, thêm mạng đó vào video.networks.",
            "The address is outside the allowed networks: if it is yours, add its network to video.networks.",
        ),
        Error::Timeout { .. } | Error::Connect { .. } => advice(
            "Không kết nối được: kiểm tra nguồn, dây mạng, địa chỉ, cổng (thường là 554) và RTSP đã bật trên máy quay.",
            "Cannot be reached: check power, cable, address, port (mostly 554) and that RTSP is on in the camera.",
        ),
        Error::Login { .. } => advice(
            "Máy quay đòi đăng nhập, hoặc tên hay mật khẩu sai: nhiều máy khóa tài khoản sau vài lần sai.",
            "The camera wants a log-in, or name or password are wrong: many lock the account after a few attempts.",
        ),
        Error::Refused { status: 404, .. } => advice(
            "Máy quay không có luồng ở đường dẫn này: xem đường dẫn RTSP trong sách của máy.",
            "The camera has no stream at this path: look up its RTSP path in its manual.",
        ),
        Error::Refused { status: 453 | 503, .. } => advice(
            "Máy quay đang bận hoặc hết chỗ: bớt người xem, hoặc tăng số kết nối tối đa trên máy.",
            "The camera is busy or full: let fewer watch it, or raise its limit of connections.",
        ),
        Error::Refused { .. } => advice(
            "Máy quay từ chối: xem lời từ chối ở trên và cài đặt RTSP của máy.",
            "The camera refused: see its words above and its RTSP settings.",
        ),
        Error::NoVideo { .. } => advice(
            "Không có luồng H.264 hay H.265: đặt kiểu mã hóa của luồng thành H.264 trên máy quay.",
            "No H.264 or H.265 stream: set the stream's encoding to H.264 in the camera.",
        ),
        Error::BFrames => advice(
            "Luồng có khung B nên không ghi đúng thứ tự: đặt profile Baseline, hoặc số khung B bằng 0.",
            "The stream has B-frames, which cannot be recorded in order: set profile Baseline, or B-frames to 0.",
        ),
        Error::Silent(_) => advice(
            "Kết nối được mà không có hình: kiểm tra luồng đã bật; nếu dùng UDP, thử TCP.",
            "It connects and no picture comes: check that the stream is on; with UDP, try TCP.",
        ),
        Error::Stream(_)
        | Error::Metadata(_)
        | Error::MetadataEndless { .. }
        | Error::Ended
        | Error::Parameters(_)
        | Error::Panicked => advice(
            "Luồng bị đứt hoặc sai: khởi động lại máy quay, cập nhật phần mềm của máy, rồi thử lại.",
            "The stream broke or makes no sense: restart the camera, update its firmware, try again.",
        ),
    }
}

fn picture(video: &ProbedVideo, all: &mut Vec<Advice>) {
    if video.codec == "h265" {
        all.push(advice(
            "Hình là H.265: ghi được, nhưng trình duyệt trên màn hình không chiếu được. Thêm luồng phụ H.264 vào cột live_url.",
            "The picture is H.265: it is recorded, but a browser's wall cannot show it. Add an H.264 sub-stream as live_url.",
        ));
    }
    match video.key_interval_s {
        Some(seconds) if seconds <= LONGEST_KEY_INTERVAL_S => {}
        Some(seconds) => all.push(Advice {
            vi: format!("Khung chính cách nhau {seconds:.1} giây: đặt 2 giây để xem và cắt nhanh hơn."),
            en: format!("Key frames are {seconds:.1} s apart: set 2 s, so that views and clips start sooner."),
        }),
        None => all.push(advice(
            "Chưa thấy hai khung chính trong lúc thử: đặt khoảng cách khung chính là 2 giây, hoặc thử lâu hơn.",
            "No two key frames came while looking: set their interval to 2 s, or look longer.",
        )),
    }
    if video.lost_packets > 0 {
        all.push(Advice {
            vi: format!(
                "Mất {} gói: kiểm tra dây mạng và thiết bị mạng; nếu dùng UDP, thử TCP.",
                video.lost_packets
            ),
            en: format!(
                "{} packets were lost: check cable and switches; with UDP, try TCP.",
                video.lost_packets
            ),
        });
    }
    if video.jumps > 0 {
        all.push(advice(
            "Thời gian trong luồng nhảy: cập nhật phần mềm của máy quay.",
            "The times in the stream jump: update the camera's firmware.",
        ));
    }
}

fn clock(offset_ms: Option<i64>, all: &mut Vec<Advice>) {
    match offset_ms {
        None => all.push(advice(
            "Máy quay không báo giờ của nó trong lúc thử; giờ ghi là giờ của ta.",
            "The camera did not tell its clock while looking; times are ours.",
        )),
        Some(ms) if ms.saturating_abs() > CLOCK_LIMIT_MS => {
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let seconds = ms as f64 / 1_000.0;
            all.push(Advice {
                vi: format!(
                    "Đồng hồ máy quay lệch {seconds:+.1} giây: đặt máy chủ NTP cho máy quay."
                ),
                en: format!("The camera's clock is {seconds:+.1} s off: set its NTP server."),
            });
        }
        Some(_) => {}
    }
}
