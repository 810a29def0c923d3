// The error of a task's last failure: its own frames stand out, those of libraries are folded.

import { html, useState } from '../../libraries.js';
import { command } from '../../commands.js';
import { count, some } from '../../format.js';
import { Command, Copy } from '../../ui/index.js';
import { folded, parts } from './traceback.js';

const MOST_TAKEN_APART = 200_000; // characters; of more the browser would have a lot to do at each change

/** @param {{task: any}} props */
export function ErrorText({ task }) {
  const [isPlain, setPlain] = useState(false);
  if (!task.error) return null;
  const isOver = !['FAILED', 'DISABLED'].includes(task.status);
  const found = task.error.length > MOST_TAKEN_APART ? [] : parts(task.error);
  const hasFrames = found.some((part) => part.kind === 'frame');
  return html`<section class="card error" aria-labelledby="task-error">
    <h3 id="task-error">${isOver ? 'Error of an earlier run' : 'Error'}</h3>
    <div class="log-tools">
      ${hasFrames
        ? html`<button type="button" aria-pressed=${isPlain} onClick=${() => setPlain(!isPlain)}>As plain text</button>`
        : null}
      <span class="grow"></span>
      <${Copy} text=${task.error} what="the error" />
    </div>
    ${isPlain || !found.length ? html`<pre class="traceback" tabindex="0">${task.error}</pre>` : html`<${Traceback} found=${found} />`}
    <${Command} line=${command('task show', { args: [task.task_id] })} />
  </section>`;
}

/** @param {{found: ReturnType<typeof parts>}} props */
function Traceback({ found }) {
  const hasOwn = found.some((part) => part.kind === 'frame' && part.isOwn);
  const shown = hasOwn ? folded(found) : found;
  return html`<div class="traceback" role="group" aria-label="The error" tabindex="0">
    ${shown.map((part, index) => {
      if (part.kind === 'frame') return html`<${Frame} key=${index} frame=${part} />`;
      if (part.kind === 'library') return html`<${Library} key=${index} frames=${part.frames} />`;
      return html`<pre key=${index} class=${part.kind === 'error' ? 'error-said' : 'minor'}>${part.text || ' '}</pre>`;
    })}
  </div>`;
}

/** @param {{frame: import('./traceback.js').Frame}} props */
function Frame({ frame }) {
  return html`<div class=${`frame ${frame.isOwn ? 'own' : ''}`}>
    <p><code class="file">${frame.file}</code>, line ${count(frame.line)}${frame.name ? html`, in <code>${frame.name}</code>` : null}</p>
    ${frame.code.length ? html`<pre>${frame.code.join('\n')}</pre>` : null}
  </div>`;
}

/** @param {{frames: import('./traceback.js').Frame[]}} props */
function Library({ frames }) {
  const packages = [...new Set(frames.map((frame) => packageOf(frame.file)))];
  return html`<details class="library">
    <summary>${some(frames.length, 'frame')} of ${packages.slice(0, 4).join(', ')}${packages.length > 4 ? ' and others' : ''}</summary>
    ${frames.map((frame, index) => html`<${Frame} key=${index} frame=${frame} />`)}
  </details>`;
}

/** @param {string} file */
function packageOf(file) {
  const match = /(?:site|dist)-packages[\\/]([^\\/]+)/.exec(file) ?? /[\\/](luigi|broker_sched)[\\/]/.exec(file);
  return match ? match[1].replace(/\.py$/, '') : 'Python';
}
