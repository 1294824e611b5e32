import { describe, expect, test } from 'vitest';
import { fromHex, readHeader } from './picture';

/** The digits that the server's test writes. */
const HEADER = '010102030000000400000005fffffffffffffffe00060a24181e40018000000000000000';

describe('header of a picture', () => {
  test('is read as the server writes it', () => {
    expect(readHeader(fromHex(HEADER).buffer)).toEqual({
      key: true,
      tile: 0x0203,
      setup: 4,
      skipped: 5,
      pts90k: -2,
      receivedUs: 1_700_000_000_000_001,
      cameraUs: null,
    });
  });

  test('of another version, or cut, is none', () => {
    expect(readHeader(fromHex(`02${HEADER.slice(2)}`).buffer)).toBeNull();
    expect(readHeader(fromHex(HEADER.slice(2)).buffer)).toBeNull();
  });
});
