//! `index.html` of a package: what a person who never heard of hashes can read, Vietnamese first.
//! No script, nothing from elsewhere.

use crate::finding::local_time;
use crate::key::PublicKey;
use crate::manifest::{AlertFacts, CameraPart, Manifest, Span, Unsealed};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #999;padding:.3rem .5rem;text-align:left;vertical-align:top}\
.en{color:#444;font-style:italic}code{overflow-wrap:anywhere}video{max-width:100%;background:#000}\
.box{border:2px solid #046;padding:.5rem 1rem;background:#f3f8fc}";

pub(crate) fn render(manifest: &Manifest) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"vi\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; media-src 'self' file:\">\
         <title>Gói chứng cứ {case}</title><style>{STYLE}</style></head><body>\
         <h1>Gói chứng cứ hình ảnh <span class=\"en\">Evidence package</span></h1>",
        case = escaped(&manifest.case)
    );
    out.push_str(&facts(manifest));
    out.push_str(&how_to_verify(manifest));
    for camera in &manifest.cameras {
        out.push_str(&camera_section(camera));
    }
    if let Some(alert) = &manifest.alert {
        out.push_str(&alert_section(alert));
    }
    out.push_str(LIMITS);
    out.push_str("</body></html>\n");
    out
}

fn row(vi: &str, en: &str, value: &str) -> String {
    format!("<tr><th>{vi}<br><span class=\"en\">{en}</span></th><td>{}</td></tr>", escaped(value))
}

fn facts(manifest: &Manifest) -> String {
    let Manifest { package_id, case, purpose, asked_by, account, made_us, software, .. } = manifest;
    let rows = [
        row("Vụ việc", "case", case),
        row("Mục đích", "purpose", purpose),
        row("Người yêu cầu", "asked by", &format!("{asked_by} ({account})")),
        row("Đơn vị vận hành", "installation", &both(&manifest.site_vi, &manifest.site_en)),
        row("Khoảng thời gian yêu cầu", "asked for", &span(&manifest.asked)),
        row("Camera không có hình", "without footage", &manifest.without_footage.join(", ")),
        row("Lập lúc", "made at", &local_time(*made_us)),
        row("Phần mềm", "software", software),
        row("Mã gói", "package id", package_id),
    ];
    format!("<table>{}</table>", rows.concat())
}

fn how_to_verify(manifest: &Manifest) -> String {
    let key = PublicKey(manifest.key.public_key).fingerprint();
    format!(
        "<h2>Kiểm tra <span class=\"en\">How to verify</span></h2><div class=\"box\">\
         <p>Mở <a href=\"verify.html\">verify.html</a> (không cần mạng), rồi chọn tất cả các tệp của gói \
         hoặc tệp nén. Trang đó tính lại mọi mã băm và nói rõ điều gì đã bị thay đổi, nếu có. \
         Sau đó so dấu vân khoá dưới đây với dấu do đơn vị vận hành công bố qua con đường khác.</p>\
         <p class=\"en\">Open verify.html (no network needed) and choose all files of the package, or the \
         archive. It computes every hash again and names what was changed, if anything was. Then \
         compare the fingerprint below with the one the installation's owner has made known by other \
         means.</p><p><code>{key}</code></p></div>"
    )
}

fn camera_section(camera: &CameraPart) -> String {
    let clip = &camera.clip;
    let place = camera.lat.zip(camera.lon).map(|(lat, lon)| format!("{lat:.6}, {lon:.6}"));
    let heading = camera.heading_deg.map(|heading| format!(" · {heading:.0}°"));
    let offset = camera.clock_offset.map_or_else(
        || "camera không báo giờ / the camera did not tell its time".to_owned(),
        |offset| {
            let ms = |us: i64| us.div_euclid(1_000);
            format!(
                "{} … {} ms ({} nhóm / groups)",
                ms(offset.least_us),
                ms(offset.most_us),
                offset.groups
            )
        },
    );
    let sealed = camera.groups.iter().filter(|group| group.seal.is_some()).count();
    let signed = &camera.camera_signatures;
    let signed = match signed.groups {
        0 => "không có / none".to_owned(),
        groups => format!(
            "{} ({groups}) – có, chưa kiểm / present, not verified",
            signed.kinds.join(", ")
        ),
    };
    let unreadable = match camera.unreadable.as_slice() {
        [] => String::new(),
        spans => {
            row("Đã ghi nhưng ổ đĩa không còn đọc được", "recorded, damaged since", &gaps(spans))
        }
    };
    let rows = [
        row("Mã camera", "camera id", &camera.camera_id),
        row("Chủ quản", "owner", &camera.owner),
        row("Loại, mục đích", "class, purpose", &format!("{} · {}", camera.class, camera.purpose)),
        row(
            "Vị trí, hướng",
            "place, heading",
            &(place.unwrap_or_default() + &heading.unwrap_or_default()),
        ),
        row("Đoạn hiển thị", "shown", &span(&clip.shown)),
        row(
            "Hình",
            "picture",
            &format!(
                "{} {}×{}, {} khung hình / frames",
                clip.codec, clip.width, clip.height, clip.shown_frames
            ),
        ),
        row("Giờ camera − giờ máy chủ", "camera's clock minus ours", &offset),
        row("Khoảng trống đã khai báo", "declared gaps", &gaps(&camera.gaps)),
        unreadable,
        row("Gói tin bị mất", "packets lost", &camera.lost_packets.to_string()),
        row(
            "Nhóm hình; đã niêm phong theo giờ",
            "groups; sealed",
            &format!("{}; {sealed}", camera.groups.len()),
        ),
        row("Chữ ký của camera", "camera's own signatures", &signed),
    ];
    let path = escaped(&clip.path);
    format!(
        "<h2>{}</h2><video controls preload=\"metadata\" src=\"{path}\"></video>\
         <p><a href=\"{path}\">{path}</a></p><table>{}</table>{}",
        escaped(&both(&camera.name_vi, &camera.name_en)),
        rows.concat(),
        group_table(camera)
    )
}

fn group_table(camera: &CameraPart) -> String {
    let mut rows = String::new();
    for (number, group) in (1..).zip(&camera.groups) {
        let hash = crate::hex::encode(&group.payload);
        let sealed = match (&group.seal, group.unsealed) {
            (Some(seal), _) => seal.checkpoint.to_string(),
            (None, Some(Unsealed::NotUnderItsSeal)) => {
                "✗ không có trong mốc / not under it".to_owned()
            }
            (None, _) => "–".to_owned(),
        };
        rows.push_str(&format!(
            "<tr><td>{number}</td><td>{}</td><td>{}</td><td>{}</td><td>{sealed}</td><td><code>{hash}</code></td></tr>",
            local_time(group.start_us),
            group.frames.len(),
            group.lost_packets
        ));
    }
    format!(
        "<details><summary>Mã băm từng nhóm hình <span class=\"en\">hashes of every group</span></summary>\
         <table><tr><th>#</th><th>Nhận lúc</th><th>Khung</th><th>Mất</th><th>Mốc</th><th>SHA-256</th></tr>{rows}</table></details>"
    )
}

fn alert_section(alert: &AlertFacts) -> String {
    let mut rows = String::new();
    for line in &alert.rows {
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&line.part),
            local_time(line.at_us),
            line.log_offset,
            escaped(&line.what)
        ));
    }
    format!(
        "<h2>Cảnh báo <span class=\"en\">Alert</span> {}</h2><p>Luật / rule: {}</p>\
         <table><tr><th>Phần</th><th>Lúc</th><th>Vị trí trong nhật ký</th><th>Nội dung</th></tr>{rows}</table>",
        escaped(&alert.alert_id),
        escaped(&alert.rule_id)
    )
}

const LIMITS: &str = "<h2>Gói này chứng minh gì và không chứng minh gì \
<span class=\"en\">What this proves, and what it does not</span></h2>\
<p>Chứng minh: từ lúc máy chủ nhận được đến nay, không khung hình, thời điểm, khoảng trống hay số gói tin mất nào bị sửa, \
xoá hoặc thêm, và người giữ khoá đã ký điều đó. Không chứng minh: điều đã xảy ra trước ống kính hoặc trên đường truyền trước \
khi máy chủ nhận; đồng hồ của máy chủ là đúng; người giữ khoá là trung thực; những gì đã bị xoá theo thời hạn lưu trữ trước khi lập gói.</p>\
<p class=\"en\">Proven: since our server received it, no frame, time, gap or packet loss was edited, taken away or put in, and \
whoever holds the key has signed that. Not proven: what happened in front of the lens or on the line before reception; that \
the server's clock was right; that the holder of the key is honest; what retention had deleted before the package was made.</p>";

fn gaps(gaps: &[Span]) -> String {
    if gaps.is_empty() {
        return "không có / none".to_owned();
    }
    gaps.iter().map(span).collect::<Vec<_>>().join("; ")
}

fn span(span: &Span) -> String {
    format!("{} → {}", local_time(span.from_us), local_time(span.to_us))
}

fn both(vi: &str, en: &str) -> String {
    if vi == en || en.is_empty() { vi.to_owned() } else { format!("{vi} / {en}") }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
