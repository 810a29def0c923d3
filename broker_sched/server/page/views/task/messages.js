// Messages to a running task, and what it answers.

import { html, useEffect, useRef, useState } from '../../libraries.js';
import { call } from '../../api.js';
import { command } from '../../commands.js';
import { now, Time } from '../../format.js';
import { may } from '../../session.js';
import { Command, notify } from '../../ui/index.js';

const LOOK_SECONDS = 1;
const PATIENCE_SECONDS = 600; // after which an answer is not awaited any more

/**
 * @typedef {object} Sent
 * @property {string} id
 * @property {string} content
 * @property {number} at seconds since the epoch
 * @property {string | null} answer null: none so far
 */

/** @param {{task: any}} props */
export function Messages({ task }) {
  const [sent, setSent] = useState(/** @type {Sent[]} */ ([]));
  const [content, setContent] = useState('');
  const [isSending, setSending] = useState(false);
  const waiting = useRef(/** @type {Sent[]} */ ([]));
  waiting.current = sent.filter((each) => each.answer === null && now.value - each.at < PATIENCE_SECONDS);
  const isRunning = task.status === 'RUNNING';
  useAnswers(task.task_id, waiting, setSent);
  if (!may('send_scheduler_message') || (!isRunning && !sent.length)) return null;
  /** @param {Event} event */
  const send = async (event) => {
    event.preventDefault();
    setSending(true);
    try {
      const reply = await call('send_scheduler_message', { worker: task.worker, task: task.task_id, content });
      if (reply.message_id === null) throw new Error('Messages are off: the option send_messages says so.');
      setSent((before) => [{ id: reply.message_id, content, at: now.value, answer: null }, ...before]);
      setContent('');
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), 'failed');
    }
    setSending(false);
  };
  const form = html`<form class="message-form" onSubmit=${send}>
      <input aria-label="Message to the task" placeholder="Message to the task" value=${content} autocomplete="off"
        onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ event) => setContent(event.currentTarget.value)} />
      <button type="submit" disabled=${isSending || !content}>Send</button>
    </form>`;
  const line = command('task message', { force: !task.accepts_messages, args: [task.task_id, content || 'TEXT'] });
  return html`<section class="card" aria-labelledby="task-messages">
    <h3 id="task-messages">Messages</h3>
    ${!isRunning
      ? null
      : task.accepts_messages
      ? form
      : html`<details>
          <summary>It has not said that it takes messages. Send one all the same</summary>
          <p class="minor">Stock Luigi forgets that a task takes messages when the task sets its tracking URL.</p>
          ${form}
        </details>`}
    ${isRunning ? html`<p class="minor">Its worker takes it with its next heartbeat; the task need not answer.</p>` : null}
    <ul class="messages" aria-live="polite">
      ${sent.map(
        (each) => html`<li key=${each.id}>
          <p><strong>${each.content}</strong> <span class="minor"><${Time} at=${each.at} /></span></p>
          ${each.answer === null ? html`<p class="none">${isRunning ? 'No answer so far.' : 'No answer: the run has ended.'}</p>` : html`<pre class="answer" aria-label="Its answer">${each.answer}</pre>`}
        </li>`,
      )}
    </ul>
    ${isRunning ? html`<${Command} line=${line} />` : null}
  </section>`;
}

/**
 * Asks for answers as long as some are awaited and the task is shown.
 * @param {string} taskId
 * @param {{current: Sent[]}} waiting
 * @param {(change: (before: Sent[]) => Sent[]) => void} setSent
 */
function useAnswers(taskId, waiting, setSent) {
  useEffect(() => {
    let isShown = true;
    /** @type {ReturnType<typeof setTimeout>} */
    let timer;
    const look = async () => {
      for (const each of document.hidden ? [] : waiting.current) {
        try {
          const { response } = await call('get_scheduler_message_response', { task_id: taskId, message_id: each.id });
          if (response === null) continue;
          const answer = typeof response === 'string' ? response : JSON.stringify(response);
          setSent((before) => before.map((one) => (one.id === each.id ? { ...one, answer } : one)));
        } catch {
          break; // the page says that the server is away, and it is asked again
        }
      }
      if (isShown) timer = setTimeout(look, LOOK_SECONDS * 1000);
    };
    timer = setTimeout(look, LOOK_SECONDS * 1000);
    return () => {
      isShown = false;
      clearTimeout(timer);
    };
  }, [taskId]);
}
