/**
 * One canvas with all its tiles. At most the newest picture of a tile waits to be drawn, all that
 * wait are drawn in one go, and each is let go of as soon as it is drawn: memory stays flat.
 */
import type { Rect } from './protocol';

const BACKGROUND = '#101215';
/** Many small tiles change at different moments: drawing them together costs far less. */
const CROWD = 20;
const CROWD_MS = 40;

export type Drawable = VideoFrame | ImageBitmap;
type Waiting = { picture: Drawable; drawn: () => void };

export class Surface {
  #context: OffscreenCanvasRenderingContext2D | null;
  #rects = new Map<number, Rect>();
  /** Tiles whose area holds a picture of theirs. */
  #painted = new Set<number>();
  #waiting = new Map<number, Waiting>();
  #scheduled = false;
  #drawnAt = 0;

  constructor(
    private readonly canvas: OffscreenCanvas,
    private readonly nextFrame: (run: (now: number) => void) => void,
    /** The pictures are gone: they have to come again. */
    restored: () => void,
  ) {
    this.#context = canvas.getContext('2d', { alpha: false });
    canvas.addEventListener('contextrestored', () => {
      this.#painted.clear();
      this.#clear();
      restored();
    });
    this.#clear();
  }

  /** Other size or other places: what is painted moves along, so that nothing flickers. */
  arrange(width: number, height: number, rects: ReadonlyMap<number, Rect>): void {
    const context = this.#context;
    const resized = width !== this.canvas.width || height !== this.canvas.height;
    const moved = rects.size !== this.#rects.size || [...rects].some(([tile, rect]) => this.#rects.get(tile)?.join() !== rect.join());
    if (context === null || (!resized && !moved)) return;
    const before = new OffscreenCanvas(Math.max(1, this.canvas.width), Math.max(1, this.canvas.height));
    before.getContext('2d')?.drawImage(this.canvas, 0, 0);
    if (resized) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.#clear();
    for (const [tile, [x, y, w, h]] of rects) {
      const old = this.#rects.get(tile);
      if (old === undefined || !this.#painted.has(tile) || old[2] < 1 || old[3] < 1) this.#painted.delete(tile);
      else context.drawImage(before, ...old, x, y, w, h);
    }
    this.#rects = new Map(rects);
    for (const tile of [...this.#painted]) if (!rects.has(tile)) this.#painted.delete(tile);
    for (const tile of [...this.#waiting.keys()]) if (!rects.has(tile)) this.#forget(tile);
  }

  /** Draws `picture` as soon as the screen can show it, and closes it. */
  put(tile: number, picture: Drawable, drawn: () => void): void {
    if (!this.#rects.has(tile)) {
      picture.close();
      return;
    }
    this.#forget(tile);
    this.#waiting.set(tile, { picture, drawn });
    this.#schedule();
  }

  /** What is shown is no longer the present: colours go. */
  grey(tile: number): void {
    this.#forget(tile);
    const rect = this.#rects.get(tile);
    const context = this.#context;
    if (rect === undefined || context === null || !this.#painted.has(tile)) return;
    context.save();
    context.globalCompositeOperation = 'saturation';
    context.fillStyle = '#808080';
    context.fillRect(...rect);
    context.globalCompositeOperation = 'multiply';
    context.fillStyle = '#5a5a5a';
    context.fillRect(...rect);
    context.restore();
  }

  close(): void {
    for (const tile of [...this.#waiting.keys()]) this.#forget(tile);
    this.#context = null;
  }

  #forget(tile: number): void {
    this.#waiting.get(tile)?.picture.close();
    this.#waiting.delete(tile);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.nextFrame((now) => {
      this.#scheduled = false;
      if (this.#rects.size > CROWD && now - this.#drawnAt < CROWD_MS) {
        this.#schedule();
        return;
      }
      this.#drawnAt = now;
      this.#draw();
    });
  }

  #draw(): void {
    for (const [tile, { picture, drawn }] of this.#waiting) {
      const rect = this.#rects.get(tile);
      if (this.#context !== null && rect !== undefined) {
        this.#paint(this.#context, rect, picture);
        this.#painted.add(tile);
        drawn();
      }
      picture.close();
    }
    this.#waiting.clear();
  }

  /** The whole picture: a street camera's edge may be what matters. */
  #paint(context: OffscreenCanvasRenderingContext2D, [x, y, w, h]: Rect, picture: Drawable): void {
    const width = 'displayWidth' in picture ? picture.displayWidth : picture.width;
    const height = 'displayHeight' in picture ? picture.displayHeight : picture.height;
    const scale = Math.min(w / width, h / height);
    const [dw, dh] = [Math.round(width * scale), Math.round(height * scale)];
    const [dx, dy] = [x + ((w - dw) >> 1), y + ((h - dh) >> 1)];
    if (dw < w || dh < h) {
      context.fillStyle = BACKGROUND;
      context.fillRect(x, y, w, h);
    }
    context.drawImage(picture, dx, dy, dw, dh);
  }

  #clear(): void {
    const context = this.#context;
    if (context === null) return;
    context.fillStyle = BACKGROUND;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }
}
