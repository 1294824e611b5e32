/**
 * A stand-in for the server while the pages are being drawn: serves dist/, speaks the live protocol
 * and answers the few statements the pages ask. A development aid; nothing of it is shipped.
 *   node dev/mock.mjs [port] [--alerts N]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer } from 'ws';

const here = new URL('..', import.meta.url).pathname;
const data = join(here, '../../sample-data');
const port = Number(process.argv[2] ?? 8090);
const asked = process.argv.indexOf('--alerts');
const wantedAlerts = asked < 0 ? 9 : Number(process.argv[asked + 1]);
const started = Date.now();

// ---- the city ----

function csv(name) {
  const [head, ...lines] = readFileSync(join(data, name), 'utf8').trim().split('\n').map(cells);
  return lines.map((line) => Object.fromEntries(head.map((key, i) => [key, line[i]])));
}
function cells(line) {
  return [...line.matchAll(/("((?:[^"]|"")*)"|[^,]*)(?:,|$)/g)].slice(0, -1).map((m) => (m[2] ?? m[1]).replaceAll('""', '"'));
}
const place = (row) => ({ ...row, lon: Number(row.lon), lat: Number(row.lat) });
const sensors = csv('sensors.csv').map(place);
const cameras = csv('cameras.csv').map((row) => ({ ...place(row), heading_deg: Number(row.heading_deg) }));
const METRICS = {
  traffic: [['speed', 'km/h', 38], ['flow', 'veh/min', 20], ['occupancy', null, 0.12]],
  water_level: [['water_level', 'm', 1.8]],
  rain: [['rain', 'mm', 0.4]],
  air_quality: [['pm25', 'µg/m³', 31], ['pm10', 'µg/m³', 52]],
  noise: [['noise', 'dB', 61]],
  door: [['door_open', null, 0]],
  power: [['power', 'kW', 40]],
};
function reading(sensor, metric, base, at) {
  const phase = (parseInt(sensor.sensor_id.slice(3)) * 37) % 100;
  return base * (1 + 0.25 * Math.sin(at / 90_000 + phase) + 0.05 * Math.sin(at / 7_000 + phase * 3));
}
const silent = new Set(['WL-009', 'NS-004']);

// ---- views ----

let offset = 1000;
const epoch = `mock-${started}`;
const views = { sensors: new Map(), cameras: new Map(), alerts: new Map(), clips: new Map(), sources: new Map() };
const pending = { sensors: new Map(), cameras: new Map(), alerts: new Map(), clips: new Map(), sources: new Map() };
function put(view, key, fields) {
  offset += 1;
  const known = views[view].get(key);
  views[view].set(key, { ...known, ...fields });
  const waiting = pending[view].get(key);
  pending[view].set(key, [known ? '~' : '+', key, offset, { ...waiting?.[3], ...fields }]);
  if (waiting?.[0] === '+') pending[view].get(key)[0] = '+';
}
function putReading(sensor, [metric, unit, base]) {
  const now = Date.now();
  const ahead = sensor.sensor_id === 'AQ-007';
  put('sensors', `${sensor.sensor_id}/${metric}`, {
    sensor_id: sensor.sensor_id, metric, unit, unit_code: sensor.unit_code,
    value: Number(reading(sensor, metric, base, now).toFixed(3)),
    quality: ahead ? 'clock_ahead' : 'good', event_time_ms: now - 150, arrival_time_ms: now,
  });
}
for (const camera of cameras) put('cameras', camera.camera_id, { camera_id: camera.camera_id, state: camera.camera_id === 'CAM-06' ? 'refused' : 'connected', detail: null, event_time_ms: started });
for (const source_id of ['city-traffic', 'city-water', 'city-rain', 'city-air', 'city-noise', 'city-door', 'city-power']) {
  put('sources', source_id, { source_id, state: source_id === 'city-door' ? 'idle' : 'alive', detail: null, event_time_ms: started - 90_000, rows_in: 0, rows_rejected: source_id === 'city-air' ? 12 : 0 });
}
const PLOTS = [
  ['critical', 'water_level_high', 'WL-003', null, 'Nước sông vượt báo động 3', 'River level above alarm level 3', 'Báo Ban chỉ huy phòng chống thiên tai; đóng cầu tràn; cử người đến trạm.', 'Call the disaster command; close the spillway bridge; send someone to the gauge.'],
  ['high', 'accident_suspected', 'TR-197', null, 'Nghi có tai nạn: xe dừng giữa nút giao', 'Accident suspected: vehicles standing in the junction', 'Xem camera gần nhất; gọi cảnh sát giao thông và cấp cứu 115.', 'Look at the nearest camera; call traffic police and ambulance 115.'],
  ['medium', 'jam', 'TR-050', null, 'Ùn tắc kéo dài trên đường Nguyễn Huệ', 'Long jam on Nguyễn Huệ', 'Điều chỉnh đèn tín hiệu.', 'Adjust the signals.'],
  ['low', 'sensor_silent', 'WL-009', null, 'Trạm quan trắc im lặng', 'Station is silent', 'Báo đơn vị vận hành kiểm tra nguồn và sóng.', 'Ask the operator to check power and radio.'],
  ['medium', 'camera_lost', null, 'CAM-06', 'Camera mất tín hiệu', 'Camera without signal', 'Kiểm tra đường truyền.', 'Check the line.'],
  ['high', 'pm25_high', 'AQ-003', null, 'Bụi mịn PM2.5 vượt ngưỡng nguy hại', 'PM2.5 above the hazardous limit', 'Phát khuyến cáo tới trường học.', 'Send the advice to schools.'],
  ['low', 'noise_high', 'NS-010', null, 'Tiếng ồn ban đêm vượt quy chuẩn', 'Noise above the night limit', '', ''],
  ['medium', 'door_open_long', 'DR-004', null, 'Tủ điều khiển bị mở quá lâu', 'Cabinet door open for too long', 'Cử người kiểm tra.', 'Send someone.'],
];
let alertCount = 0;
function raise(minutesAgo) {
  const [severity, rule_id, sensor_id, camera_id, title_vi, title_en, action_vi, action_en] = PLOTS[alertCount % PLOTS.length];
  const alert_id = `A${String((alertCount += 1)).padStart(4, '0')}`;
  const asset = sensors.find((s) => s.sensor_id === sensor_id) ?? cameras.find((c) => c.camera_id === camera_id);
  const at = Date.now() - minutesAgo * 60_000;
  put('alerts', alert_id, {
    alert_id, rule_id, state: 'firing', severity, key: sensor_id ? `sensor_id=${sensor_id}` : `camera_id=${camera_id}`, sensor_id, camera_id,
    unit_code: asset?.unit_code ?? null, value: 3.62, title_vi, title_en, action_vi, action_en, started_time_ms: at, event_time_ms: at,
    actor: 'engine', reason: null, acknowledged: false, shelved_until_ms: null,
  });
  steps.push({ alert_id, event_time: at, state: 'firing', actor: 'engine', reason: null, value: 3.62 });
  for (const [i, camera] of cameras.slice(1, 3).entries()) {
    put('clips', `C-${alert_id}-${i}`, {
      clip_id: `C-${alert_id}-${i}`, alert_id, camera_id: camera.camera_id, event_time_ms: at, from_time_ms: at - 10_000,
      to_time_ms: at + 20_000, distance_m: 80 + i * 410, url: `/api/v1/clips/C-${alert_id}-${i}.mp4`,
    });
  }
}
const steps = [];
for (let i = 0; i < wantedAlerts; i += 1) raise(0.2 + i * 1.7);
if (wantedAlerts > 3) acknowledge('A0003', 'trucban01');
if (wantedAlerts > 6) put('alerts', 'A0006', { state: 'suppressed', reason: 'inhibited by water_level_high' });

function acknowledge(alert_id, actor) {
  put('alerts', alert_id, { state: 'acknowledged', acknowledged: true, actor, event_time_ms: Date.now() });
  steps.push({ alert_id, event_time: Date.now(), state: 'acknowledged', actor, reason: null, value: null });
}

for (const sensor of sensors) if (!silent.has(sensor.sensor_id)) for (const m of METRICS[sensor.kind]) putReading(sensor, m);
let turn = 0;
setInterval(() => {
  for (let i = 0; i < 25; i += 1) {
    const sensor = sensors[(turn = (turn + 1) % sensors.length)];
    if (!silent.has(sensor.sensor_id)) for (const m of METRICS[sensor.kind]) putReading(sensor, m);
  }
}, 50);

// ---- live ----

const clients = new Set();
const last = Object.fromEntries(Object.keys(views).map((view) => [view, offset]));
setInterval(() => {
  for (const view of Object.keys(views)) {
    const ops = [...pending[view].values()];
    if (ops.length === 0) continue;
    pending[view].clear();
    const from = last[view];
    last[view] = offset;
    for (const client of clients) for (const [sid, v] of client.subs) if (v === view) client.say({ type: 'delta', sid, from, to: offset, n: ops.length, ops });
  }
}, 100);
setInterval(() => {
  const server_time_ms = Date.now();
  for (const client of clients) for (const [sid, view] of client.subs) client.say({ type: 'mark', sid, seq: last[view], watermark_ms: server_time_ms - 2000, server_time_ms });
}, 1000);

function attach(socket) {
  const client = { subs: new Map(), say: (message) => socket.send(JSON.stringify(message)) };
  clients.add(client);
  socket.on('close', () => clients.delete(client));
  socket.on('message', (text) => {
    const message = JSON.parse(text);
    if (message.type === 'unsub') client.subs.delete(message.sid);
    if (message.type !== 'sub') return;
    const { sid, view } = message;
    const rows = [...views[view]].map(([key, fields]) => [key, last[view], fields]);
    const half = Math.ceil(rows.length / 2);
    const part = (n, some) => client.say({ type: 'snap', sid, epoch, seq: last[view], part: n, parts: 2, rows: some, count: rows.length });
    part(1, rows.slice(0, half));
    part(2, rows.slice(half));
    client.subs.set(sid, view);
  });
  client.say({ type: 'welcome', protocol: 'vong.live.v1', epoch, head: offset, server_time_ms: Date.now(), mark_ms: 1000, simulated: true });
}

// ---- video: one test picture for all cameras ----

const clip = join(tmpdir(), `vong-mock-${process.pid}.mp4`);
spawnSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', 'smptebars=size=640x360:rate=12', '-t', '30', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-movflags', 'faststart', clip]);
process.on('exit', () => rmSync(clip, { force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
const viewers = new Set();
let head = [];
let group = [];
const encoder = spawn('ffmpeg', [
  '-hide_banner', '-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=12', '-c:v', 'libx264', '-preset', 'ultrafast',
  '-tune', 'zerolatency', '-profile:v', 'main', '-g', '24', '-f', 'mp4', '-movflags', 'empty_moov+default_base_moof+frag_every_frame', 'pipe:1',
]);
encoder.stderr.pipe(process.stderr);
let rest = Buffer.alloc(0);
let fragment = [];
encoder.stdout.on('data', (bytes) => {
  rest = Buffer.concat([rest, bytes]);
  while (rest.length >= 8 && rest.length >= rest.readUInt32BE(0)) {
    const box = rest.subarray(0, rest.readUInt32BE(0));
    rest = rest.subarray(box.length);
    const type = box.toString('latin1', 4, 8);
    if (type === 'ftyp' || type === 'moov') head.push(box);
    if (type === 'moof') fragment = [box];
    if (type === 'mdat') frame(Buffer.concat([...fragment, box]));
  }
});
let frames = 0;
function frame(whole) {
  if (frames++ % 24 === 0) group = [];
  group.push({ whole, key: group.length === 0 });
  for (const page of viewers) for (const tile of page.tiles) picture(page, tile, group.at(-1));
}
/** The header of crates/vong-wire/src/video.rs, then the fragment, or the access unit in it. */
function picture({ socket, form }, tile, { whole, key }) {
  const header = Buffer.alloc(36);
  header.writeUInt8(1, 0);
  header.writeUInt8(key ? 1 : 0, 1);
  header.writeUInt16BE(tile, 2);
  header.writeUInt32BE(1, 4);
  header.writeBigInt64BE(BigInt(Date.now()) * 1000n, 20);
  header.writeBigInt64BE(-(2n ** 63n), 28);
  const payload = form === 'fragments' ? whole : whole.subarray(whole.indexOf('mdat') + 4);
  socket.send(Buffer.concat([header, payload]));
}
function record() {
  const init = Buffer.concat(head);
  const at = init.indexOf('avcC');
  return init.subarray(at + 4, at - 4 + init.readUInt32BE(at - 4));
}
function watch(socket) {
  const page = { socket, form: 'frames', tiles: [], shown: new Set() };
  const say = (message) => socket.send(JSON.stringify(message));
  say({ type: 'welcome', protocol: 'vong.video.v1', server_time_ms: Date.now(), window_bytes: 524_288 });
  const marks = setInterval(() => say({ type: 'mark', server_time_ms: Date.now() }), 1_000);
  viewers.add(page);
  socket.on('close', () => (clearInterval(marks), viewers.delete(page)));
  socket.on('message', (text) => {
    const { type, form, tiles } = JSON.parse(text);
    if (type !== 'show') return;
    const before = page.shown;
    const wanted = tiles.filter(({ mode, camera_id }) => mode !== 'off' && camera_id !== 'CAM-06');
    const name = ({ tile, camera_id }) => `${tile} ${camera_id}`;
    Object.assign(page, { form, tiles: wanted.map(({ tile }) => tile), shown: new Set(wanted.map(name)) });
    for (const { tile, camera_id } of wanted) {
      if (before.has(name({ tile, camera_id }))) continue;
      const given = (form === 'fragments' ? Buffer.concat(head) : record()).toString('hex');
      say({ type: 'setup', tile, setup: 1, camera_id, stream: 'main', form, codec: 'h264', codecs: 'avc1.4d401e', width: 640, height: 360, data: given });
      for (const old of group) picture(page, tile, old);
    }
  });
}

// ---- http ----

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.geojson': 'application/geo+json', '.mp4': 'video/mp4' };
const POLICY = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'";

function sql(statement) {
  const now = Date.now();
  const iso = (ms) => new Date(ms).toISOString().replace('Z', '');
  if (statement.includes('alert_transitions')) {
    const id = /alert_id = '([^']+)'/.exec(statement)?.[1];
    return steps.filter((step) => step.alert_id === id).map((step) => ({ ...step, event_time: iso(step.event_time) }));
  }
  if (statement.includes('GROUP BY metric')) {
    const rows = [];
    for (const [metric, base] of [['speed', 38], ['water_level', 2.2], ['rain', 0.5], ['pm25', 38]]) {
      for (let at = now - 1_500_000; at < now; at += 10_000) {
        const v = base * (1 + 0.1 * Math.sin(at / 200_000) + 0.03 * Math.sin(at / 23_000));
        rows.push({ metric, bucket: iso(Math.floor(at / 10_000) * 10_000), mean: v, peak: v });
      }
    }
    return rows;
  }
  const id = /sensor_id = '([^']+)'/.exec(statement)?.[1];
  const sensor = sensors.find((s) => s.sensor_id === id);
  const from = Date.parse(/>= TIMESTAMP '([^']+)'/.exec(statement)?.[1] ?? '');
  if (!sensor || Number.isNaN(from)) return [];
  const rows = [];
  for (let at = from; at < Math.min(now, from + 1_200_000); at += 5_000) {
    for (const [metric, unit, base] of METRICS[sensor.kind]) rows.push({ metric, unit, event_time: iso(at), value: reading(sensor, metric, base, at) });
  }
  return rows;
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://mock');
  const json = (value, status = 200) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (request.method === 'POST') {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const sent = JSON.parse(body);
      if (pathname === '/api/v1/sql') return json(sql(sent.sql));
      const [, id, action] = /^\/api\/v1\/alerts\/([^/]+)\/(\w+)$/.exec(pathname) ?? [];
      if (!views.alerts.has(id)) return json({ kind: 'not_found', message: `no alert '${id}'` }, 404);
      if (id === 'A0004') return setTimeout(() => json({ kind: 'unavailable', message: 'the log is not writable', hint: 'the disk is full' }, 503), 400);
      setTimeout(() => {
        if (action === 'acknowledge') acknowledge(id, 'trucban01');
        if (action === 'shelve') put('alerts', id, { state: 'shelved', shelved_until_ms: sent.until_ms, actor: 'trucban01', reason: sent.reason });
        if (action === 'unshelve') put('alerts', id, { state: 'firing', shelved_until_ms: null });
        json({ command_id: sent.command_id, offset });
      }, 700);
    });
    return;
  }
  if (pathname === '/api/v1/about') return json({ version: '0.1.0', city_name_vi: 'Thành phố Mẫu', city_name_en: 'Sample City', simulated: true, server_time_ms: Date.now() });
  if (pathname === '/api/v1/sensors') return json(sensors);
  if (pathname === '/api/v1/cameras') return json(cameras);
  let file = pathname.startsWith('/api/v1/clips/') ? clip : pathname.startsWith('/map/') ? join(data, normalize(pathname)) : join(here, 'dist', normalize(pathname));
  if (pathname.startsWith('/api/') && file !== clip) return json({ kind: 'not_found', message: pathname }, 404);
  if (!existsSync(file) || !statSync(file).isFile()) file = join(here, 'dist/index.html');
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY });
  createReadStream(file).pipe(response);
});
const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, start) => {
  sockets.handleUpgrade(request, socket, start, (web) => {
    if (request.url.startsWith('/api/v1/video')) watch(web);
    else attach(web);
  });
});
server.listen(port, '127.0.0.1', () => console.log(`mock on http://127.0.0.1:${port}`));
