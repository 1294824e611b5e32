import { beforeEach, describe, expect, it, vi } from 'vitest';
import { alertRow, type AlertRow } from '../lib/rows';

const sent: { id: string; action: string; commandId: string }[] = [];
let answer: () => Promise<unknown> = () => Promise.resolve({});

vi.mock('../lib/api', () => ({
  command: (id: string, action: string, body: { command_id: string }) => {
    sent.push({ id, action, commandId: body.command_id });
    return answer();
  },
  newCommandId: () => `c${sent.length + 1}`,
  explain: (failure: Error) => failure.message,
}));

const { Actions } = await import('./actions.svelte');

function alerts(...lines: string[]): Map<string, AlertRow> {
  return new Map(
    lines.map((line) => {
      const [alert_id = '', state, acked] = line.split(' ');
      return [alert_id, alertRow({ alert_id, state, severity: 'high', acknowledged: acked === 'acked' })];
    }),
  );
}

beforeEach(() => {
  sent.length = 0;
  answer = () => Promise.resolve({});
});

describe('Actions', () => {
  it('calls an act recorded only after the durable answer, and forgets it when its effect is seen', async () => {
    const actions = new Actions();
    let durable: (value: unknown) => void = () => {};
    answer = () => new Promise((done) => (durable = done));
    const running = actions.run('A', 'acknowledge');
    expect(actions.byAlert.get('A')?.phase).toBe('pending');
    durable({});
    await running;
    expect(actions.byAlert.get('A')?.phase).toBe('recorded');
    actions.settle(alerts('A firing'));
    expect(actions.byAlert.get('A')?.phase).toBe('recorded');
    actions.settle(alerts('A acknowledged acked'));
    expect(actions.byAlert.size).toBe(0);
  });

  it('does not send a second act while the first is under way', async () => {
    const actions = new Actions();
    answer = () => new Promise(() => {});
    void actions.run('A', 'acknowledge');
    expect(await actions.run('A', 'acknowledge')).toBe(false);
    expect(sent.length).toBe(1);
  });

  it('shows why it failed and tries again under the same command id', async () => {
    const actions = new Actions();
    answer = () => Promise.reject(new Error('disk full'));
    await actions.run('A', 'acknowledge');
    expect(actions.byAlert.get('A')).toMatchObject({ phase: 'failed', error: 'disk full' });
    answer = () => Promise.resolve({});
    await actions.run('A', 'acknowledge');
    expect(new Set(sent.map(({ commandId }) => commandId)).size).toBe(1);
    expect(actions.byAlert.get('A')?.phase).toBe('recorded');
  });

  it('counts an alert as seen when it was over before it was acknowledged', async () => {
    const actions = new Actions();
    await actions.run('A', 'acknowledge');
    actions.settle(alerts('A resolved'));
    expect([...actions.seen]).toEqual(['A']);
    actions.settle(alerts('A firing'));
    expect(actions.seen.size).toBe(0);
  });
});
