// The page: takes files, shows the verdict. Vietnamese first, English beside it.
import codes from './codes.json';
import { fromArchive, fromFiles, NotAPackage, ofBlob, type Package, type Part } from './package';
import { verify, type Finding, type Report } from './verify';

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const [drop, result, progress, key] = [element('drop'), element('result'), element<HTMLProgressElement>('progress'), element<HTMLInputElement>('key')];

function add(parent: HTMLElement, tag: string, content: string, kind = ''): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = content;
  made.className = kind;
  parent.append(made);
  return made;
}

/** The time of Vietnam, which has no summer time. */
function localTime(micros: number): string {
  const shown = new Date(Math.floor(micros / 1_000) + 7 * 3_600_000).toISOString();
  return `${shown.slice(0, 23).replace('T', ' ')} (+07:00)`;
}

function place(finding: Finding): string {
  const { file, camera, group, frame, line, checkpoint, count, at_us, until_us, detail } = finding;
  const words: [string, string | number | undefined][] = [
    ['', file], ['camera ', camera], ['nhóm hình / group ', group], ['khung hình / frame ', frame], ['dòng / line ', line],
    ['mốc / checkpoint ', checkpoint], ['số lượng / count ', count], ['', at_us === undefined ? undefined : localTime(at_us)],
    ['→ ', until_us === undefined ? undefined : localTime(until_us)], ['', detail],
  ];
  return words.filter(([, value]) => value !== undefined).map(([word, value]) => word + value).join(', ');
}

function show(report: Report): void {
  result.replaceChildren();
  const words = (finding: Finding) => codes.find(({ code }) => code === finding.code);
  const intact = report.findings.every((finding) => !words(finding)?.change);
  const verdict = add(
    result, 'p',
    intact ? 'NGUYÊN VẸN: không có gì bị thay đổi kể từ khi gói được ký.' : 'ĐÃ BỊ THAY ĐỔI: gói không còn như khi được ký.',
  );
  verdict.id = 'verdict';
  verdict.dataset.verdict = intact ? 'intact' : 'changed';
  add(verdict, 'div', intact ? 'INTACT: nothing was changed since the package was signed.' : 'CHANGED: the package is not what was signed.', 'en');
  const list = add(result, 'ul', '');
  for (const finding of report.findings) {
    const item = add(list, 'li', words(finding)?.vi ?? finding.code, words(finding)?.change ? 'change' : 'note');
    item.dataset.code = finding.code;
    add(item, 'div', words(finding)?.en ?? '', 'en');
    add(item, 'div', place(finding));
  }
  const { manifest, signedBy } = report;
  add(result, 'p', `Khung hình đã đối chiếu / frames compared: ${report.framesVerified}`);
  if (signedBy) {
    const owner = add(result, 'p', 'Dấu vân khoá đã ký / signed by: ');
    add(owner, 'code', signedBy.replace(/(.{8})(?=.)/g, '$1 '));
    const confirmed = report.keyConfirmed
      ? 'Đúng khoá mong đợi. The expected key.'
      : 'Chưa đối chiếu khoá: hãy so với dấu do cơ quan vận hành công bố. Not confirmed: compare it with the fingerprint its owner has made known.';
    add(owner, 'div', confirmed);
  }
  if (manifest) {
    add(result, 'p', `${manifest.site_vi} · ${manifest.case} · ${manifest.purpose} · ${manifest.asked_by} · ${localTime(manifest.made_us)}`);
    for (const camera of manifest.cameras) {
      const { from_us, to_us } = camera.clip.shown;
      add(result, 'p', `${camera.camera_id} (${camera.name_vi}): ${localTime(from_us)} → ${localTime(to_us)}, ${camera.groups.length} nhóm hình / groups`);
    }
  }
}

let running = 0;

async function run(open: () => Promise<Package>): Promise<void> {
  running += 1;
  const own = running; // a later choice replaces this one
  result.replaceChildren();
  progress.hidden = false;
  progress.removeAttribute('value');
  try {
    const expected = key.value.replace(/[\s:-]/g, '').toLowerCase();
    const report = await verify(await open(), expected || null, (done, total) => {
      progress.max = total;
      progress.value = done;
    });
    if (own === running) show(report);
  } catch (error) {
    if (own !== running) return;
    result.replaceChildren();
    const why = error instanceof NotAPackage ? error.message : String(error);
    const verdict = add(result, 'p', `Không mở được gói / the package cannot be opened: ${why}`);
    verdict.id = 'verdict';
    verdict.dataset.verdict = 'unreadable';
  } finally {
    if (own === running) progress.hidden = true;
  }
}

const isArchive = (file: File) => file.name.toLowerCase().endsWith('.zip');

function take(chosen: { path: string; file: File }[]): void {
  const [only] = chosen;
  if (chosen.length === 1 && only && isArchive(only.file)) void run(() => fromArchive(ofBlob(only.file)));
  else if (chosen.length > 0) void run(async () => fromFiles(chosen.map(({ path, file }): { path: string; part: Part } => ({ path, part: ofBlob(file) }))));
}

function chosen(input: HTMLInputElement): void {
  take([...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
  input.value = ''; // the same file can be chosen again
}

async function walk(entry: FileSystemEntry, found: { path: string; file: File }[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path: entry.fullPath.slice(1), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, found);
  }
}

element<HTMLInputElement>('archive').addEventListener('change', (event) => chosen(event.target as HTMLInputElement));
element<HTMLInputElement>('folder').addEventListener('change', (event) => chosen(event.target as HTMLInputElement));
drop.addEventListener('dragover', (event) => {
  event.preventDefault();
  drop.classList.add('over');
});
drop.addEventListener('dragleave', () => drop.classList.remove('over'));
drop.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: { path: string; file: File }[] = [];
  void Promise.all(entries.map((entry) => walk(entry, found))).then(() => take(found));
});
