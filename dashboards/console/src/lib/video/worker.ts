/** The worker's entry: its messages become calls of the studio, and what this browser can do is found out. */
import type { VideoCodec } from '../wire';
import { VideoLink } from './link';
import type { FromWorker, ToWorker } from './protocol';
import { Studio } from './studio';

const scope = self as unknown as {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  requestAnimationFrame(run: (now: number) => void): number;
};

const REPORT_MS = 500;
/** Reports of many tiles are work for the page; ages are shown in seconds anyway. */
const CROWD = 20;
const CODECS: [VideoCodec, string][] = [
  ['h264', 'avc1.64001f'],
  ['h265', 'hvc1.1.6.L93.B0'],
];

let studio: Studio | null = null;

scope.onmessage = ({ data }) => {
  if (data.type === 'start') {
    start(data);
    return;
  }
  if (studio === null) return;
  if (data.type === 'surface') studio.addSurface(data.surface, data.canvas, data.width, data.height);
  else if (data.type === 'resize') studio.resize(data.surface, data.width, data.height);
  else if (data.type === 'drop') studio.drop(data.surface);
  else if (data.type === 'tiles') studio.arrange(data.tiles);
  else if (data.type === 'again') studio.again(data.tile);
  else if (data.type === 'shown') studio.shown(data.tile, data.receivedUs);
  else if (data.type === 'failed') studio.failed(data.tile);
  else studio.registered();
};

function start({ url, fragments, measure }: Extract<ToWorker, { type: 'start' }>): void {
  const post = (message: FromWorker, transfer: Transferable[] = []) => scope.postMessage(message, transfer);
  const own = new Studio(post, (run) => scope.requestAnimationFrame(run), measure);
  studio = own;
  const report = () => {
    own.report();
    setTimeout(report, own.size > CROWD ? 2 * REPORT_MS : REPORT_MS);
  };
  report();
  void decodable().then((codecs) => {
    // Decoders exist only where the page came over https or from this machine.
    const form = codecs.length > 0 && fragments === null ? 'frames' : 'fragments';
    post({ type: 'form', form });
    const world = {
      open: (address: string, protocol: string) => new WebSocket(address, protocol),
      now: () => Date.now(),
      chance: () => Math.random(),
      setTimer: (run: () => void, ms: number) => setTimeout(run, ms) as unknown as number,
      clearTimer: (timer: number) => clearTimeout(timer),
    };
    const link = new VideoLink(url, world, {
      opened: () => own.opened(),
      closed: () => undefined,
      told: (message) => own.told(message),
      picture: (header, payload) => own.picture(header, payload),
    });
    own.connect(link, form, form === 'frames' ? codecs : (fragments ?? ['h264']));
  });
}

async function decodable(): Promise<VideoCodec[]> {
  if (typeof VideoDecoder === 'undefined') return [];
  const asked = CODECS.map(async ([name, codec]) => {
    const { supported } = await VideoDecoder.isConfigSupported({ codec, codedWidth: 640, codedHeight: 360 }).catch(() => ({ supported: false }));
    return supported === true ? [name] : [];
  });
  return (await Promise.all(asked)).flat();
}
