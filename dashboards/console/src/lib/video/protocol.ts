/** What page and worker say to each other. */
import type { VideoCodec, VideoForm, VideoRefusal, VideoStreamName } from '../wire';
import type { PictureHeader } from './picture';

/** Pixels of the canvas: left, top, width, height. */
export type Rect = readonly [number, number, number, number];

/** One tile as the page has it. */
export type PageTile = {
  tile: number;
  cameraId: string;
  stream: VideoStreamName;
  /** Somebody looks at this one. */
  keep: boolean;
  /** Nobody can see it. */
  off: boolean;
  surface: number;
  rect: Rect;
};

export type ToWorker =
  | { type: 'start'; url: string; fragments: VideoCodec[] | null; measure: boolean }
  | { type: 'surface'; surface: number; canvas: OffscreenCanvas; width: number; height: number }
  | { type: 'resize'; surface: number; width: number; height: number }
  | { type: 'drop'; surface: number }
  | { type: 'tiles'; tiles: PageTile[] }
  /** The tile has a player now: begin anew with a set-up and a key frame. */
  | { type: 'again'; tile: number }
  /** The tile's player put a picture on the screen; when the server got it, null where that is not known. */
  | { type: 'shown'; tile: number; receivedUs: number | null }
  /** The tile's player broke. */
  | { type: 'failed'; tile: number }
  /** The register of cameras is another one: what was unknown may be known. */
  | { type: 'registered' };

/** `failed`: pictures come and this browser cannot play them; it is tried again. */
export type Condition = 'connecting' | 'live' | 'lost' | 'failed' | 'refused';

/** How a tile is doing. */
export type TileReport = {
  tile: number;
  condition: Condition;
  why: VideoRefusal | null;
  /** How it is coded at the camera; null before it is known. */
  codec: VideoCodec | null;
  form: VideoForm | null;
  stream: VideoStreamName | null;
  /** Fewer pictures than asked for, because this machine cannot keep up. */
  slow: boolean;
  /** When the server got the picture that is shown, Unix microseconds; 0 before the first. */
  shownUs: number;
  /** From asking to the first picture on the canvas, the connection aside; null before it. */
  startMs: number | null;
  painted: number;
  /** Frames left out by the server, and by us, because this machine cannot keep up. */
  skipped: number;
  left: number;
};

/** One picture on the screen: tile, camera's time, received, shown; Unix microseconds. */
export type Sample = readonly [number, number | null, number, number];

export type FromWorker =
  | { type: 'form'; form: 'frames' | 'fragments' }
  | { type: 'report'; serverOffsetMs: number; tiles: TileReport[]; samples: Sample[] }
  | { type: 'segment'; tile: number; mime: string; init: ArrayBuffer }
  | { type: 'fragment'; tile: number; header: PictureHeader; data: ArrayBuffer };
