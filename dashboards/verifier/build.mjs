// Makes dist/verify.html: one file, no request, no source map; and dist/rules.mjs, the same rules for the tests.
import { build } from 'esbuild';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const options = { bundle: true, format: 'esm', target: 'es2022', charset: 'utf8', write: false, logLevel: 'warning' };
const bundle = async (entry, more) => (await build({ ...options, ...more, entryPoints: [entry] })).outputFiles[0].text;

mkdirSync('dist', { recursive: true });
writeFileSync('dist/rules.mjs', await bundle('src/rules.ts'));
const script = (await bundle('src/page.ts', { minify: true, legalComments: 'inline' })).replaceAll('</script', '<\\/script');
const page = readFileSync('src/page.html', 'utf8');
writeFileSync('dist/verify.html', page.replace('<!-- script -->', () => `<script type="module">${script}</script>`));
