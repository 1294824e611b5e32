import { describe, expect, it } from 'vitest';
import { alarmLoad, count, isActive, queue } from './queue';
import { alertRow, type AlertRow } from './rows';

const NOW = 100 * 60_000;

/** `check('hi high firing 5')`: name, severity, state, minutes ago; a trailing `acked` for acknowledged. */
function alert(line: string): AlertRow {
  const [alert_id, severity, state, minutes, acked] = line.split(' ');
  return alertRow({ alert_id, severity, state, started_time_ms: NOW - Number(minutes) * 60_000, acknowledged: acked === 'acked' });
}

function order(lines: string[], show = { suppressed: false, shelved: false, finished: false }): string {
  return queue(lines.map(alert), NOW, show).map((a) => a.alert_id).join(' ');
}

describe('queue', () => {
  it('puts severity times waiting time first', () => {
    expect(order(['new-low low firing 0', 'old-low low firing 20', 'new-medium medium firing 1', 'new-high high firing 1'])).toBe(
      'old-low new-high new-medium new-low',
    );
  });

  it('keeps a critical alert above all others however long they waited', () => {
    expect(order(['high high firing 600', 'critical critical firing 0'])).toBe('critical high');
  });

  it('puts acknowledged ones below, still there', () => {
    expect(order(['a critical acknowledged 9 acked', 'b low firing 1', 'c critical firing 3 acked'])).toBe('b a c');
  });

  it('never loses an alert that ended before anyone saw it', () => {
    expect(order(['over medium resolved 30', 'done medium resolved 30 acked'])).toBe('over');
  });

  it('puts what still goes on above what is over, both above what somebody has seen', () => {
    expect(order(['over critical resolved 9', 'on low firing 1', 'seen critical acknowledged 9 acked'])).toBe('on over seen');
  });

  it('shows shelved and finished ones only on demand, and never pending or cancelled ones', () => {
    const lines = ['s high shelved 5', 'f high resolved 5 acked', 'p high pending 5', 'c high cancelled 5'];
    expect(order(lines)).toBe('');
    expect(order(lines, { suppressed: true, shelved: true, finished: true })).toBe('s f');
  });

  it('keeps suppressed ones out of the queue, counts them and shows them on demand, below what was told', () => {
    const lines = ['k critical suppressed 5', 'l low acknowledged 1 acked', 's high shelved 9'];
    expect(order(lines)).toBe('l');
    expect(order(lines, { suppressed: true, shelved: true, finished: false })).toBe('l k s');
    expect(count(lines.map(alert), 'suppressed')).toBe(1);
    expect(isActive(alert('k critical suppressed 5'))).toBe(true);
  });
});

describe('alarmLoad', () => {
  it('counts the alerts of the last ten minutes against target and flood line', () => {
    const many = Array.from({ length: 11 }, (_, i) => alert(`a${i} low firing ${i % 10}`));
    expect(alarmLoad([alert('a low firing 11')], NOW)).toEqual({ count: 0, level: 'calm' });
    expect(alarmLoad(many.slice(0, 2), NOW)).toEqual({ count: 2, level: 'busy' });
    expect(alarmLoad(many, NOW)).toEqual({ count: 11, level: 'flood' });
    expect(alarmLoad([alert('k critical suppressed 1')], NOW)).toEqual({ count: 0, level: 'calm' });
  });
});
