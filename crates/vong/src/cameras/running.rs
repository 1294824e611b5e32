//! What runs for each camera, and how a changed register is brought into force: new cameras start,
//! removed ones stop, changed ones start again; the others are not touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;
use vong_hub::{VideoHub, VideoStream};
use vong_media::AccessUnitSink;
use vong_model::{Assets, Camera, CameraId, EventTime};
use vong_recorder::RecorderHandle;
use vong_rtsp::{
    About, CameraFact, CameraState, CameraStream, Fact, FactSender, IntakeGround, Login,
    RtspIntake, StreamKind, Transport,
};
use vong_runtime::{OnFailure, Shutdown, Tasks};
use vong_vision::CameraSinks;

use crate::assets::CameraLogins;
use crate::vision::Eyes;

/// What every camera is started with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tasks: Tasks,
    pub(crate) transport: Transport,
    pub(crate) recorder: RecorderHandle,
    pub(crate) video: VideoHub,
    pub(crate) eyes: Eyes,
    pub(crate) facts: FactSender,
    pub(crate) ground: IntakeGround,
}

/// Every camera that runs.
#[derive(Debug)]
pub(crate) struct RunningCameras {
    shared: Shared,
    running: tokio::sync::Mutex<BTreeMap<CameraId, Running>>,
}

/// One camera's streams.
#[derive(Debug)]
struct Running {
    needs: Needs,
    stop: Shutdown,
    /// Closed once every stream of the camera has ended.
    ended: watch::Receiver<()>,
}

/// What a camera's streams depend on; a change of anything else disturbs nothing.
#[derive(Clone, Debug)]
struct Needs {
    camera: Camera,
    login: Option<Login>,
}

/// How many cameras a changed register concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aligned {
    pub(crate) started: usize,
    pub(crate) stopped: usize,
    pub(crate) restarted: usize,
}

impl RunningCameras {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, running: tokio::sync::Mutex::default() }
    }

    /// Brings the register into force. Returns once what had to stop has stopped.
    pub(crate) async fn align(&self, assets: &Assets, logins: &CameraLogins) -> Aligned {
        let mut running = self.running.lock().await;
        let wanted: BTreeMap<&CameraId, Needs> = assets
            .cameras
            .iter()
            .map(|(id, camera)| {
                let login = logins.of(id.as_str());
                (id, Needs { camera: camera.clone(), login })
            })
            .collect();
        let mut aligned = Aligned::default();
        let over: Vec<CameraId> = running
            .iter()
            .filter(|(id, running)| !wanted.get(id).is_some_and(|n| n.same_streams(&running.needs)))
            .map(|(id, _)| id.clone())
            .collect();
        let stopping: Vec<_> = over.iter().filter_map(|id| running.remove(id)).collect();
        stopping.iter().for_each(|camera| camera.stop.request());
        // A camera has one writer of footage: the old one must be gone before the new one comes.
        for mut camera in stopping {
            while camera.ended.changed().await.is_ok() {}
            if !wanted.contains_key(&camera.needs.camera.camera_id) {
                self.shared.recorder.forget(&camera.needs.camera.camera_id);
                self.tell_removed(&camera.needs.camera);
            }
        }
        for (id, needs) in wanted {
            if running.contains_key(id) {
                continue;
            }
            *(if over.contains(id) { &mut aligned.restarted } else { &mut aligned.started }) += 1;
            running.insert(id.clone(), self.start(needs));
        }
        aligned.stopped = over.len() - aligned.restarted;
        if aligned != Aligned::default() {
            let Aligned { started, stopped, restarted } = aligned;
            info!(started, stopped, restarted, "cameras changed");
        }
        aligned
    }

    /// Screens would show it as it was last seen for ever. While the log stands still a task waits
    /// for it, in the order of what is told later; the register must not.
    fn tell_removed(&self, camera: &Camera) {
        let Camera { camera_id, unit_code, .. } = camera;
        let fact = CameraFact {
            at: EventTime(self.shared.ground.clock.now()),
            camera_id: camera_id.clone(),
            about: About::Register,
            state: CameraState::Removed,
            detail: String::new(),
            unit_code: unit_code.clone(),
        };
        let (facts, stop) = (self.shared.facts.clone(), self.shared.tasks.shutdown());
        self.shared.tasks.spawn(
            format!("rtsp/{camera_id}/removed"),
            OnFailure::Continue,
            async move {
                tokio::select! {
                    sent = facts.send(Fact::Camera(fact)) => sent,
                    () = stop.requested() => Ok(()),
                }
            },
        );
    }

    fn start(&self, needs: Needs) -> Running {
        let Shared { tasks, recorder, video, eyes, .. } = &self.shared;
        let Camera { camera_id, url, live_url, .. } = &needs.camera;
        let record: Box<dyn AccessUnitSink> = Box::new(recorder.sink(&needs.camera));
        let show = |stream| -> Box<dyn AccessUnitSink> { Box::new(video.sink(camera_id, stream)) };
        let stop = tasks.shutdown().child();
        let CameraSinks { health, traffic } = eyes.sinks(&needs.camera, &stop);
        let mut main = vec![record, show(VideoStream::Main)];
        main.extend(health);
        let (alive, ended) = watch::channel(());
        let alive = Arc::new(alive);
        let start = |kind: StreamKind, url: &str, sinks| {
            let intake = self.intake(&needs, (kind, url), sinks);
            let (stop, alive) = (stop.clone(), Arc::clone(&alive));
            let name = match kind {
                StreamKind::Main => "main",
                StreamKind::Live => "live",
            };
            tasks.spawn(format!("rtsp/{camera_id}/{name}"), OnFailure::Continue, async move {
                let ended = intake.run(stop).await;
                drop(alive);
                ended
            });
        };
        match live_url {
            Some(live_url) => {
                let light = [show(VideoStream::Sub)].into_iter().chain(traffic);
                start(StreamKind::Live, live_url, light.collect());
            }
            None => main.extend(traffic),
        }
        start(StreamKind::Main, url, main);
        drop(alive);
        Running { needs, stop, ended }
    }

    fn intake(
        &self,
        needs: &Needs,
        (kind, url): (StreamKind, &str),
        sinks: Vec<Box<dyn AccessUnitSink>>,
    ) -> RtspIntake {
        let Shared { transport, ground, facts, .. } = &self.shared;
        let Needs { camera, login } = needs;
        let stream = CameraStream {
            camera_id: camera.camera_id.clone(),
            unit_code: camera.unit_code.clone(),
            url: url.to_owned(),
            login: login.clone(),
            transport: *transport,
            kind,
        };
        RtspIntake::new(stream, sinks, facts.clone(), ground.clone())
    }
}

impl Needs {
    fn same_streams(&self, other: &Self) -> bool {
        let streams = |needs: &Self| {
            let Camera { url, live_url, unit_code, recording, .. } = &needs.camera;
            (url.clone(), live_url.clone(), unit_code.clone(), *recording)
        };
        let login = |needs: &Self| {
            needs.login.clone().map(|Login { username, password }| (username, password))
        };
        streams(self) == streams(other) && login(self) == login(other)
    }
}
