// Called by build.py with the folder for what is served: joins the page's modules and their libraries into a few files.
//
// Templates become calls of preact's h() on the way, so that no browser has to read them, and terser shortens what
// esbuild has joined: together that takes a tenth off.

import { readFile, writeFile } from 'node:fs/promises';
import { transformAsync } from '@babel/core';
import { build } from 'esbuild';
import { minify } from 'terser';

const ENTRIES = ['main.js', 'theme.js', 'luigi_address.js'];
const TEMPLATES = [['babel-plugin-htm', { import: 'preact', useBuiltIns: true }]];
const [, , folder] = process.argv;

/** Writes each html`…` of our modules as calls of h(). */
const compiledTemplates = {
  name: 'compiled templates',
  setup(/** @type {any} */ { onLoad }) {
    onLoad({ filter: /\.js$/ }, async (/** @type {{path: string}} */ { path }) => {
      if (path.endsWith('htm/preact/index.module.js')) return { contents: 'export const html = null;' }; // nobody needs it
      const text = await readFile(path, 'utf8');
      if (path.includes('node_modules') || !text.includes('html`')) return null;
      const made = await transformAsync(text, { babelrc: false, configFile: false, plugins: TEMPLATES });
      return { contents: made.code };
    });
  },
};

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
for (const { path, text } of outputFiles) {
  const { code } = await minify(text, { module: true, ecma: 2020, compress: { passes: 3 } });
  await writeFile(path, code);
}
