//! Cameras for the bench: a GStreamer server that plays real traffic footage in both codecs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Ended when dropped.
pub(super) struct Farm {
    process: Child,
    port: u16,
    cameras: usize,
    film: PathBuf,
}

impl Farm {
    /// Every other camera is H.265; `None`, with the reason, where something is missing.
    pub(super) fn start(dir: &Path, cameras: usize) -> Result<Option<Self>> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let shared = checkout.context("benches lie in a checkout")?.join("shared");
        let script = shared.join("tools/gst_rtsp_farm.py");
        let film = shared.join("data/video/traffic_tfl_a13_h264_gop2s.mp4");
        for needed in [&script, &film] {
            if !needed.is_file() {
                println!("skipped: needs {}", needed.display());
                return Ok(None);
            }
        }
        let (h264, h265) = (dir.join("h264.mp4"), dir.join("h265.mp4"));
        let shape = ["-v", "error", "-y", "-t", "20", "-r", "25"];
        for (encode, into) in [
            (&["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "50"][..], &h264),
            (
                &[
                    "-c:v",
                    "libx265",
                    "-preset",
                    "ultrafast",
                    "-x265-params",
                    "bframes=0:keyint=50:min-keyint=50:scenecut=0:open-gop=0:log-level=none",
                    "-tag:v",
                    "hvc1",
                ][..],
                &h265,
            ),
        ] {
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(shape).arg("-i").arg(&film).args(["-an", "-b:v", "1M", "-r", "25"]);
            match ffmpeg.args(encode).arg(into).output() {
                Ok(made) if made.status.success() => {}
                Ok(made) => {
                    println!("skipped: ffmpeg: {}", String::from_utf8_lossy(&made.stderr).trim());
                    return Ok(None);
                }
                Err(e) => {
                    println!("skipped: could not start ffmpeg: {e}");
                    return Ok(None);
                }
            }
        }
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut python = Command::new("/usr/bin/python3");
        python.arg(&script).args([port.to_string(), cameras.to_string()]).args([&h264, &h265]);
        let mut process = python.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let told = BufReader::new(process.stdout.take().context("its output is a pipe")?);
        let is_ready = told.lines().map_while(Result::ok).any(|line| line == "ready");
        if !is_ready {
            println!("skipped: the GStreamer server did not start");
            process.wait()?;
            return Ok(None);
        }
        Ok(Some(Self { process, port, cameras, film: h264 }))
    }

    pub(super) fn cameras(&self) -> usize {
        self.cameras
    }

    pub(super) fn url(&self, camera: usize) -> String {
        format!("rtsp://127.0.0.1:{}/cam{camera:03}", self.port)
    }

    /// What the H.264 cameras play.
    pub(super) fn film(&self) -> &Path {
        &self.film
    }

    /// Configuration of a vong that records all of them and does nothing else: decodes no picture.
    pub(super) fn write_site(&self, site: &Path, http: u16) -> Result<()> {
        for folder in ["rules", "sources", "views"] {
            std::fs::create_dir_all(site.join(folder))?;
        }
        let config = format!("[http]\nlisten = \"127.0.0.1:{http}\"\n[vision]\nhealth = false\n");
        std::fs::write(site.join("vong.toml"), config)?;
        let mut csv = String::from("camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url\n");
        for n in 0..self.cameras {
            csv += &format!("CAM-{n},M,C,105.9,18.34,0,U1,{}\n", self.url(n));
        }
        ensure!(self.cameras > 0, "a farm has cameras");
        std::fs::write(site.join("cameras.csv"), csv)?;
        Ok(())
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        drop(self.process.kill()); // already gone is as good
        drop(self.process.wait());
    }
}
