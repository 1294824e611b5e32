/** Outlines of the severity shapes in a 24 × 24 box, for markup and for the map alike. */
import type { Severity } from '../rows';

export const SHAPE_PATHS: Record<Severity, string> = {
  critical: 'M12 1 L23 12 L12 23 L1 12 Z',
  high: 'M12 2 L23 21.5 L1 21.5 Z',
  medium: 'M3 3 H21 V21 H3 Z',
  low: 'M12 2 A10 10 0 1 1 11.99 2 Z',
};

/** Baseline of the figure inside: a triangle's middle lies lower. */
export const TEXT_Y: Record<Severity, number> = { critical: 16.2, high: 19, medium: 16.2, low: 16.2 };
