/**
 * Pictures for the map, drawn here: symbols and, because no glyphs are fetched, names too.
 * The browser's own text engine draws them, so every Vietnamese diacritic is right.
 */

export type Picture = { width: number; height: number; data: Uint8ClampedArray };

type Draw = (context: CanvasRenderingContext2D, size: number) => void;

function canvas(width: number, height: number): CanvasRenderingContext2D | null {
  const element = document.createElement('canvas');
  element.width = Math.max(1, Math.ceil(width));
  element.height = Math.max(1, Math.ceil(height));
  return element.getContext('2d', { willReadFrequently: true });
}

function picture(context: CanvasRenderingContext2D): Picture {
  const { width, height } = context.canvas;
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

/** `size` in device pixels; the drawing works in a box of 24. */
export function symbol(size: number, draw: Draw): Picture | null {
  const context = canvas(size, size);
  if (context === null) return null;
  context.scale(context.canvas.width / 24, context.canvas.width / 24);
  context.lineJoin = 'round';
  context.lineCap = 'round';
  draw(context, 24);
  return picture(context);
}

const GREY = '#9aa1a9';
const AMBER = '#f2d74e';
const DARK = '#17191c';

/** A working sensor: a small dot that does not ask to be looked at. */
export const sensorGood: Draw = (c) => {
  c.fillStyle = GREY;
  c.strokeStyle = DARK;
  c.lineWidth = 2;
  c.beginPath();
  c.arc(12, 12, 4.6, 0, Math.PI * 2);
  c.stroke();
  c.fill();
};

/** A silent sensor: a hollow, crossed ring. */
export const sensorSilent: Draw = (c) => {
  for (const [colour, width] of [
    [DARK, 6],
    [AMBER, 2.6],
  ] as const) {
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.arc(12, 12, 7, 0, Math.PI * 2);
    c.moveTo(7.4, 16.6);
    c.lineTo(16.6, 7.4);
    c.stroke();
  }
};

/** A sensor whose clock is wrong: a clock face. */
export const sensorClock: Draw = (c) => {
  for (const [colour, width] of [
    [DARK, 6],
    [AMBER, 2.4],
  ] as const) {
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.arc(12, 12, 7.6, 0, Math.PI * 2);
    c.moveTo(12, 7.6);
    c.lineTo(12, 12.4);
    c.lineTo(15.4, 14);
    c.stroke();
  }
};

function body(c: CanvasRenderingContext2D): void {
  c.beginPath();
  c.roundRect(3, 7, 12, 10, 2);
  c.moveTo(15, 11);
  c.lineTo(21, 8);
  c.lineTo(21, 16);
  c.lineTo(15, 13);
  c.closePath();
}

/** A camera that delivers. */
export const cameraGood: Draw = (c) => {
  body(c);
  c.strokeStyle = DARK;
  c.lineWidth = 3;
  c.stroke();
  c.fillStyle = '#c9ced4';
  c.fill();
};

/** A camera without signal: hollow and struck through. */
export const cameraLost: Draw = (c) => {
  for (const [colour, width] of [
    [DARK, 5],
    [AMBER, 1.8],
  ] as const) {
    body(c);
    c.moveTo(4, 21);
    c.lineTo(20, 3);
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.stroke();
  }
};

/** Where a camera looks: a faint cone upwards, turned on the map by the heading. */
export const cone: Draw = (c) => {
  const fade = c.createRadialGradient(12, 12, 1, 12, 12, 11);
  fade.addColorStop(0, 'rgba(201, 206, 212, 0.55)');
  fade.addColorStop(1, 'rgba(201, 206, 212, 0)');
  c.fillStyle = fade;
  c.beginPath();
  c.moveTo(12, 12);
  c.arc(12, 12, 11, -Math.PI / 2 - 0.45, -Math.PI / 2 + 0.45);
  c.closePath();
  c.fill();
};

export type LabelStyle = { sizePx: number; weight: number; colour: string; halo: string; spacing: number };

const FAMILY = "'Be Vietnam Pro', 'Noto Sans', sans-serif";

/** A name as a picture. Sizes in device pixels. */
export function label(text: string, style: LabelStyle): Picture | null {
  const font = `${style.weight} ${style.sizePx}px ${FAMILY}`;
  const measuring = canvas(1, 1);
  if (measuring === null) return null;
  const halo = style.sizePx * 0.16;
  measuring.font = font;
  measuring.letterSpacing = `${style.spacing}px`;
  const width = measuring.measureText(text).width + halo * 4;
  // Stacked Vietnamese accents rise above, dots below hang under the usual box of a letter.
  const context = canvas(width, style.sizePx * 1.7);
  if (context === null) return null;
  context.font = font;
  context.letterSpacing = `${style.spacing}px`;
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  context.lineWidth = halo * 2;
  context.strokeStyle = style.halo;
  context.fillStyle = style.colour;
  const y = context.canvas.height / 2 + style.sizePx * 0.06;
  context.strokeText(text, halo * 2, y);
  context.fillText(text, halo * 2, y);
  return picture(context);
}

/** Labels drawn before the font is there would keep the wrong letters for ever. */
export async function fontsReady(): Promise<void> {
  const sample = 'Đường Nguyễn Ắ ẵ ợ';
  await Promise.all([400, 600].map((weight) => document.fonts.load(`${weight} 16px ${FAMILY}`, sample))).catch(() => undefined);
}
