//! One page: takes its wishes, sends its pictures, and gives it less when it cannot keep up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval};
use vong_hub::{Shedding, TileMode, Verdict, VideoEvent, VideoStream, VideoWall};
use vong_media::{AccessUnit, LiveFragmenter, StillError, VideoParameters};
use vong_model::{EventTime, Principal};
use vong_wire::VIDEO_PROTOCOL;
use vong_wire::live::ByeCode;
use vong_wire::video::{
    MAX_TILES, PictureHeader, VideoClientMessage, VideoCodec, VideoForm, VideoMode,
    VideoModeReason, VideoRefusal, VideoServerMessage, VideoTile, WINDOW_BYTES,
};

use super::door::VideoDoor;
use super::flow::Flow;
use super::tile::{Load, Picture, Tile, codec_name, picture, stream_of};

/// A page that takes nothing for this time is gone or broken.
const SLOW_LIMIT: Duration = Duration::from_secs(10);

/// More tiles than this begin with one picture each instead of their whole groups.
const CROWD: usize = 16;

/// Marks, and second thoughts about slow pages, come this often.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// Why a page's connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    Left,
    Slow,
    Bye,
}

pub(super) struct Screen {
    door: VideoDoor,
    caller: Principal,
    socket: WebSocket,
    wall: VideoWall,
    tiles: BTreeMap<u16, Tile>,
    plays: Vec<VideoCodec>,
    form: VideoForm,
    setups: u32,
    crowded: bool,
    flow: Flow,
    shedding: Shedding,
    /// Tiles that the page was last told are slow; it may have begun anew with any of them since.
    told_slow: BTreeSet<u16>,
    /// At most one per tile and set-up.
    making: FuturesUnordered<BoxFuture<'static, Made>>,
}

/// A picture that was made, or not.
type Made = (PictureHeader, Result<Bytes, StillError>);

/// What happens next.
enum Next {
    Heard(Option<Result<Message, axum::Error>>),
    Event(u16, VideoEvent),
    Made(Made),
    Tick,
    Stop,
}

impl Screen {
    pub(super) fn new(door: VideoDoor, caller: Principal, socket: WebSocket) -> Self {
        Self {
            wall: door.video.wall(),
            door,
            caller,
            socket,
            tiles: BTreeMap::new(),
            plays: Vec::new(),
            form: VideoForm::Frames,
            setups: 0,
            crowded: false,
            flow: Flow::default(),
            shedding: Shedding::default(),
            told_slow: BTreeSet::new(),
            making: FuturesUnordered::new(),
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        let Err(ended) = self.serve().await;
        ended
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Ended> {
        let welcome = VideoServerMessage::Welcome {
            protocol: VIDEO_PROTOCOL.to_owned(),
            server_time_ms: self.now_ms(),
            window_bytes: WINDOW_BYTES,
        };
        self.say(&welcome).await?;
        let stop = self.door.shutdown.clone();
        let mut ticks = interval(MARK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Self { socket, wall, making, flow, .. } = &mut *self;
            let next = tokio::select! {
                received = socket.recv() => Next::Heard(received),
                (tile, event) = wall.next(), if flow.is_open() => Next::Event(tile, event),
                Some(made) = making.next() => Next::Made(made),
                _ = ticks.tick() => Next::Tick,
                () = stop.requested() => Next::Stop,
            };
            match next {
                Next::Heard(received) => self.hear(received).await?,
                Next::Event(tile, event) => self.show(tile, event).await?,
                Next::Made(made) => self.send_jpeg(made).await?,
                Next::Tick => self.tick().await?,
                Next::Stop => {
                    return Err(self.bye(ByeCode::Shutdown, 1_000, "the server stops").await);
                }
            }
        }
    }

    async fn hear(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), Ended> {
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(self.protest("messages are text").await),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Ended::Left),
        };
        match serde_json::from_str(&text) {
            Ok(VideoClientMessage::Show { plays, form, tiles }) => {
                let is_ours = matches!(form, VideoForm::Stills | VideoForm::MotionJpeg);
                if is_ours || tiles.len() > MAX_TILES {
                    let told =
                        format!("form is frames or fragments, tiles are {MAX_TILES} at most");
                    return Err(self.protest(&told).await);
                }
                self.arrange(plays, form, tiles).await
            }
            Ok(VideoClientMessage::Taken { bytes }) => {
                if self.flow.taken(bytes, Instant::now()) {
                    return Ok(());
                }
                Err(self.protest("taken is less than before, or more than was sent").await)
            }
            Err(e) => Err(self.protest(&format!("not understood: {e}")).await),
        }
    }

    /// Makes the tiles what the page asks for; those that stay as they are notice nothing.
    async fn arrange(
        &mut self,
        plays: Vec<VideoCodec>,
        form: VideoForm,
        asked: Vec<VideoTile>,
    ) -> Result<(), Ended> {
        let same_player = plays == self.plays && form == self.form;
        (self.plays, self.form) = (plays, form);
        self.crowded = asked.iter().filter(|tile| tile.mode == VideoMode::Full).count() > CROWD;
        let mut before = std::mem::take(&mut self.tiles);
        for tile in asked {
            let known =
                before.remove(&tile.tile).filter(|known| same_player && known.goes_on_as(&tile));
            match known {
                Some(mut known) => {
                    known.asked = tile;
                    self.follow_mode(&known);
                    let number = known.asked.tile;
                    self.tiles.insert(number, known);
                    self.tell_mode(number, false).await?;
                }
                None => self.begin(Tile::new(tile)).await?,
            }
        }
        for gone in before.into_keys() {
            self.wall.remove(gone);
        }
        Ok(())
    }

    async fn begin(&mut self, mut tile: Tile) -> Result<(), Ended> {
        let (number, wanted) = (tile.asked.tile, stream_of(tile.asked.stream));
        self.wall.remove(number);
        let load = self.load();
        let Some(mode) = tile.mode(load) else {
            self.tiles.insert(number, tile);
            return Ok(());
        };
        if self.door.may_see(&self.caller, &tile.camera).is_err() {
            return self.refuse(number, VideoRefusal::NotAllowed, None).await;
        }
        let Some(stream) = self.wall.show(number, &tile.camera, wanted, mode) else {
            return self.refuse(number, VideoRefusal::Unknown, None).await;
        };
        tile.stream = stream;
        self.tiles.insert(number, tile);
        self.tell_mode(number, true).await
    }

    fn load(&self) -> Load {
        Load { shedding: self.shedding.is_shedding(), crowded: self.crowded }
    }

    fn follow_mode(&mut self, tile: &Tile) {
        let load = self.load();
        if let Some(mode) = tile.mode(load) {
            self.wall.set_mode(tile.asked.tile, mode);
        }
    }

    async fn show(&mut self, number: u16, event: VideoEvent) -> Result<(), Ended> {
        match event {
            VideoEvent::Parameters(parameters) => self.set_up(number, &parameters).await,
            VideoEvent::Unit { unit, skipped } => {
                if skipped > 0 && self.shedding.skipped(Instant::now()) == Some(Verdict::Shed) {
                    self.door.metrics.video_sheds.inc();
                    self.follow_load().await?;
                }
                self.send_unit(number, &unit, skipped).await
            }
            VideoEvent::Interrupted => {
                if let Some(tile) = self.tiles.get_mut(&number) {
                    tile.picture = Picture::Unknown; // it may hold a decoder that others wait for
                }
                self.say(&VideoServerMessage::Lost { tile: number }).await
            }
        }
    }

    /// New parameters: the form that the page can show, another stream, or nothing.
    async fn set_up(
        &mut self,
        number: u16,
        parameters: &Arc<VideoParameters>,
    ) -> Result<(), Ended> {
        let load = self.load();
        let Some(tile) = self.tiles.get_mut(&number) else { return Ok(()) };
        let playable = self.plays.contains(&codec_name(parameters.codec));
        let Some((wanted, shown)) = self.wall.streams(number) else { return Ok(()) };
        tile.stream = shown;
        tile.picture = Picture::Unknown; // what it was may hold a decoder
        // A tile that wants the sub-stream already gets it as soon as there is one.
        let has_other = wanted == VideoStream::Main && self.door.video.has_sub_stream(&tile.camera);
        if !playable && has_other {
            let mode = tile.mode(load).unwrap_or(TileMode::Key);
            let sub = VideoStream::Sub;
            if let Some(stream) = self.wall.show(number, &tile.camera, sub, mode) {
                tile.stream = stream;
            }
            return Ok(()); // its parameters come next
        }
        let picture = match self.form {
            VideoForm::Fragments if playable => Picture::Fragments(LiveFragmenter::new()),
            _ if playable => Picture::Frames,
            _ => self.door.drawn(tile, parameters),
        };
        self.give(number, parameters, picture).await
    }

    /// Tells the page what the tile's payloads are from here on.
    async fn give(
        &mut self,
        number: u16,
        parameters: &VideoParameters,
        picture: Picture,
    ) -> Result<(), Ended> {
        let load = self.load();
        let Some(tile) = self.tiles.get_mut(&number) else { return Ok(()) };
        self.setups += 1;
        let message = tile.begin(parameters, picture, self.setups);
        if message.is_none() {
            tile.picture = Picture::Unplayable;
        }
        if let Some(mode) = tile.mode(load) {
            self.wall.set_mode(number, mode);
        }
        match message {
            Some(message) => self.say(&message).await,
            None => {
                let codec = Some(codec_name(parameters.codec));
                self.refuse(number, VideoRefusal::Codec, codec).await
            }
        }
    }

    /// A tile that is looked at and shows stills begins anew, with all frames, once a decoder is free.
    async fn offer_motion(&mut self) -> Result<(), Ended> {
        let is_waiting =
            |tile: &&Tile| tile.wants_motion() && matches!(tile.picture, Picture::Stills { .. });
        let waiting = self.tiles.values().find(is_waiting).map(|tile| tile.asked.clone());
        match waiting {
            Some(asked) if self.door.stills.has_free_motion() => self.begin(Tile::new(asked)).await,
            _ => Ok(()),
        }
    }

    async fn send_unit(
        &mut self,
        number: u16,
        unit: &Arc<AccessUnit>,
        skipped: u64,
    ) -> Result<(), Ended> {
        let Some(tile) = self.tiles.get_mut(&number) else { return Ok(()) };
        let mut header = tile.header(unit, skipped);
        let place = tile.place();
        match &mut tile.picture {
            Picture::Unknown | Picture::Unplayable | Picture::Stills { busy: true, .. } => Ok(()),
            Picture::Frames => {
                let message = picture(&header, &unit.data);
                self.send_picture(message, unit.data.len()).await
            }
            Picture::Fragments(fragmenter) => {
                let Ok(fragment) = fragmenter.wrap(unit) else { return Ok(()) }; // of 4 GiB
                header.pts_90k = i64::try_from(fragment.media_time_90k).unwrap_or(i64::MAX);
                let message = picture(&header, &fragment.bytes);
                self.send_picture(message, fragment.bytes.len()).await
            }
            Picture::Stills { parameters, busy } => {
                if let Some(still) = self.door.stills.of(&place, parameters, unit) {
                    *busy = true;
                    self.making.push(Box::pin(async move { (header, still.await) }));
                }
                Ok(())
            }
            Picture::Motion(motion) => {
                motion.push(unit, skipped);
                self.ask_motion(number);
                Ok(())
            }
        }
    }

    fn ask_motion(&mut self, number: u16) {
        let Some(tile) = self.tiles.get_mut(&number) else { return };
        let Picture::Motion(motion) = &mut tile.picture else { return };
        if let Some((unit, skipped, still)) = motion.next() {
            // Each picture stands for itself.
            let header = PictureHeader { key: true, ..tile.header(&unit, skipped) };
            self.making.push(Box::pin(async move { (header, still.await) }));
        }
    }

    async fn send_jpeg(&mut self, (header, made): Made) -> Result<(), Ended> {
        let Some(tile) = self.tiles.get_mut(&header.tile) else { return Ok(()) };
        if tile.setup != header.setup {
            return Ok(());
        }
        match &mut tile.picture {
            Picture::Stills { busy, .. } => *busy = false,
            Picture::Motion(motion) => motion.made(made.is_ok()),
            _ => return Ok(()), // the camera was lost meanwhile
        }
        self.ask_motion(header.tile);
        match made {
            Ok(jpeg) if jpeg.is_empty() => Ok(()), // held back by the decoder
            Ok(jpeg) => {
                let message = picture(&header, &jpeg);
                self.send_picture(message, jpeg.len()).await
            }
            Err(StillError::Undecodable | StillError::Busy) => {
                self.door.metrics.video_stills_missing.inc();
                Ok(())
            }
        }
    }

    async fn tick(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if self.flow.shut_for(now) >= SLOW_LIMIT {
            self.door.metrics.video_closed_slow.inc();
            self.bye(ByeCode::Slow, 1_000, "nothing was taken for too long").await;
            return Err(Ended::Slow);
        }
        if self.shedding.tick(now) == Some(Verdict::Restore) {
            self.follow_load().await?;
        }
        self.offer_motion().await?;
        self.say(&VideoServerMessage::Mark { server_time_ms: self.now_ms() }).await
    }

    /// All tiles that somebody may not be looking at get less, or everything again.
    async fn follow_load(&mut self) -> Result<(), Ended> {
        let load = self.load();
        let given = self.tiles.values().map(|tile| (tile.asked.tile, tile.mode(load)));
        for (tile, given) in given.collect::<Vec<_>>() {
            if let Some(given) = given {
                self.wall.set_mode(tile, given);
            }
            self.tell_mode(tile, false).await?;
        }
        Ok(())
    }

    /// Tells the page how much tile `number` gets where it may think otherwise. A tile that `begins`
    /// is new to the page, whatever was told of its number before.
    async fn tell_mode(&mut self, number: u16, begins: bool) -> Result<(), Ended> {
        let Some(tile) = self.tiles.get(&number) else { return Ok(()) };
        let asked = tile.asked.mode;
        if asked == VideoMode::Off {
            return Ok(());
        }
        let is_slow = tile.is_shed(self.shedding.is_shedding());
        let was_slow = self.told_slow.contains(&number);
        let (mode, why) = if is_slow {
            self.told_slow.insert(number);
            (VideoMode::Key, VideoModeReason::Slow)
        } else {
            self.told_slow.remove(&number);
            (asked, VideoModeReason::Recovered)
        };
        if is_slow == was_slow && !(is_slow && begins) {
            return Ok(());
        }
        self.say(&VideoServerMessage::Mode { tile: number, mode, why }).await
    }

    async fn refuse(
        &mut self,
        tile: u16,
        why: VideoRefusal,
        codec: Option<VideoCodec>,
    ) -> Result<(), Ended> {
        self.say(&VideoServerMessage::Refused { tile, why, codec }).await
    }

    async fn protest(&mut self, detail: &str) -> Ended {
        self.bye(ByeCode::Protocol, 5_000, detail).await
    }

    /// Says good-bye; whether the page hears it does not matter.
    async fn bye(&mut self, code: ByeCode, retry_ms: u32, detail: &str) -> Ended {
        let bye = VideoServerMessage::Bye { code, retry_ms, detail: detail.to_owned() };
        let last = async {
            self.say(&bye).await?;
            self.send(Message::Close(None)).await
        };
        drop(tokio::time::timeout(Duration::from_secs(1), last).await);
        Ended::Bye
    }

    async fn say(&mut self, message: &VideoServerMessage) -> Result<(), Ended> {
        let text = serde_json::to_string(message).expect("wire messages have string keys only");
        self.send(Message::Text(text.into())).await
    }

    async fn send_picture(&mut self, message: Bytes, payload: usize) -> Result<(), Ended> {
        self.send(Message::Binary(message)).await?;
        self.flow.sent(payload, Instant::now());
        self.door.metrics.video_pictures.inc();
        self.door.metrics.video_bytes.inc_by(payload as u64);
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match tokio::time::timeout(SLOW_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Left),
            Err(_elapsed) => {
                self.door.metrics.video_closed_slow.inc();
                Err(Ended::Slow)
            }
        }
    }

    fn now_ms(&self) -> i64 {
        EventTime(self.door.clock.now()).millis()
    }
}
