// Called by build.py with the folder for what is served, and all styles as its input: joins the page's modules and their
// libraries into a few files, each of them compressed.
//
// Templates become calls of preact's h() on the way, so that no browser has to read them, and terser shortens what
// esbuild has joined: together that takes a tenth off. zopfli writes what any gunzip reads, 4 % smaller than gzip does.

import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { transformAsync } from '@babel/core';
import { gzipAsync } from '@gfx/zopfli';
import { build, transform } from 'esbuild';
import { minify } from 'terser';

const ENTRIES = ['main.js', 'theme.js', 'luigi_address.js'];
const TEMPLATES = [['babel-plugin-htm', { import: 'preact', useBuiltIns: true }]];
const ROUNDS = 5; // of zopfli: three times as many take three times as long, and make it 20 bytes smaller
const [, , folder] = process.argv;

/** Writes each html`…` of our modules as calls of h(). */
const compiledTemplates = {
  name: 'compiled templates',
  setup(/** @type {any} */ { onLoad }) {
    onLoad({ filter: /\.js$/ }, async (/** @type {{path: string}} */ { path }) => {
      if (path.endsWith('htm/preact/index.module.js')) return { contents: 'export const html = null;' }; // nobody needs it
      const written = await readFile(path, 'utf8');
      if (path.includes('node_modules') || !written.includes('html`')) return null;
      const made = await transformAsync(written, { babelrc: false, configFile: false, plugins: TEMPLATES });
      return { contents: made.code };
    });
  },
};

/** @param {string} name @param {string} content */
async function serve(name, content) {
  const packed = await gzipAsync(Buffer.from(content), { numiterations: ROUNDS });
  if (gunzipSync(packed).toString() !== content) throw new Error(`${name} was not packed as it is.`);
  await writeFile(`${folder}/${name}.gz`, packed);
}

const { outputFiles } = await build({
  entryPoints: ENTRIES,
  outdir: folder,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  write: false,
  plugins: [compiledTemplates],
  logLevel: 'error',
});
for (const { path, text: joined } of outputFiles) {
  const { code } = await minify(joined, { module: true, ecma: 2020, compress: { passes: 3, inline: 1 } });
  await serve(basename(path), code);
}
const { code: styles } = await transform(await text(process.stdin), { loader: 'css', minify: true });
await serve('style.css', styles);
await serve('icon.svg', await readFile('icon.svg', 'utf8'));
