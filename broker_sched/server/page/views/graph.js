// What a task depends on, or what depends on it: few nodes, which a click unfolds.

import { html, useMemo, useRef } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { some } from '../format.js';
import { href, setParams, useParams, useTitle } from '../router.js';
import { may } from '../session.js';
import { Answer, Command, Empty, TaskLink } from '../ui/index.js';
import { Drawing } from './graph/drawing.js';
import { GraphList } from './graph/list.js';
import { PathSummary } from './graph/path.js';
import { nameOf, nodesOnPath, rings } from './graph/shape.js';

const SIZES = ['30', '60', '150'];
const MEASURES = [
  { value: '', label: 'not shown' },
  { value: 'total', label: 'by all its time' },
  { value: 'spent', label: 'by time spent' },
  { value: 'expected', label: 'by time to come' },
];
const MOST_NAMED = 5;

export default function GraphView() {
  const params = useParams();
  const id = params.get('id') ?? '';
  const direction = params.get('direction') === 'dependents' ? 'dependents' : 'deps';
  const nodes = SIZES.includes(params.get('nodes') ?? '') ? params.get('nodes') : '60';
  const by = direction === 'deps' && may('critical_path') ? (params.get('path') ?? '') : '';
  const shown = useRef(/** @type {Set<string>} */ (new Set())); // families and ids
  /** @param {import('../live.js').Change} change */
  const concerns = (change) => [...shown.current].some((each) => change.families.has(each) || change.tasks.has(each));
  const args = { task_id: id, direction, nodes: Number(nodes), expand: params.getAll('open'), include_done: !params.has('hide') };
  const graph = useCall('condensed_graph', id ? args : null, { live: concerns });
  const path = useCall('critical_path', id && by ? { task_id: id, by } : null, { live: concerns });
  useTitle(id ? `Graph of ${id}` : 'Graph');
  shown.current = new Set((graph.data?.nodes ?? []).flatMap((/** @type {any} */ node) => [node.family, node.task_id]));
  if (!id) return html`<${Empty}>A graph is of one task: open a task, and choose its graph there.</${Empty}>`;
  const isList = params.get('form') === 'list';
  const words = { down: direction === 'dependents', without_done: params.has('hide'), nodes, expand: params.getAll('open'), args: id };
  return html`<div class="graph-view">
    <p class="graph-of">
      ${direction === 'deps' ? 'What ' : 'What needs '}<${TaskLink} id=${id} />${direction === 'deps' ? ' needs' : ''}
      <${Command} line=${command('graph', words)} />
    </p>
    <${Choices} direction=${direction} nodes=${nodes} by=${by} isList=${isList} />
    <${Answer} asked=${graph}>
      ${(/** @type {any} */ data) =>
        data === null
          ? html`<${Empty}>Nobody knows the task ${id}: it is not there, and no task needs it.</${Empty}>`
          : html`<${Shown} graph=${data} path=${by ? path.data : null} isList=${isList} />`}
    </${Answer}>
    ${by ? html`<${Answer} asked=${path}>${(/** @type {any} */ data) => (data ? html`<${PathSummary} path=${data} words=${{ by, args: id }} />` : null)}</${Answer}>` : null}
  </div>`;
}

/** @param {{direction: string, nodes: string | null, by: string, isList: boolean}} props */
function Choices({ direction, nodes, by, isList }) {
  const params = useParams();
  /** @param {string} name @param {string} [value] */
  const toggle = (name, value = '1') => setParams({ [name]: params.get(name) === value ? null : value });
  /** @param {string} name @param {boolean} isOn @param {string} label @param {string} [value] */
  const button = (name, isOn, label, value) =>
    html`<button type="button" aria-pressed=${isOn} onClick=${() => toggle(name, value)}>${label}</button>`;
  /** @param {string} name */
  const choose = (name) => (/** @type {Event & {currentTarget: HTMLSelectElement}} */ event) =>
    setParams({ [name]: event.currentTarget.value });
  return html`<form class="filters" aria-label="What is drawn" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <label class="field"><span>Show</span>
      <select value=${direction} onChange=${(/** @type {Event & {currentTarget: HTMLSelectElement}} */ event) =>
        setParams({ direction: event.currentTarget.value === 'deps' ? null : event.currentTarget.value, open: null })}>
        <option value="deps">what it needs</option><option value="dependents">what needs it</option>
      </select></label>
    <label class="field"><span>Nodes, at most</span>
      <select value=${nodes} onChange=${choose('nodes')}>
        ${SIZES.map((size) => html`<option key=${size} value=${size}>${size}</option>`)}
      </select></label>
    ${direction === 'deps' && may('critical_path')
      ? html`<label class="field"><span>Critical path</span>
          <select value=${by} onChange=${choose('path')}>
            ${MEASURES.map((each) => html`<option key=${each.value} value=${each.value}>${each.label}</option>`)}
          </select></label>`
      : null}
    ${button('hide', params.has('hide'), 'Hide done', 'done')}
    ${button('follow', params.has('follow'), 'Follow what runs')}
    ${button('form', isList, 'As a list', 'list')}
    ${params.has('open')
      ? html`<button type="button" onClick=${() => setParams({ open: null })}>Fold again</button>`
      : null}
  </form>`;
}

/** @param {{graph: import('./graph/shape.js').Graph, path: any, isList: boolean}} props */
function Shown({ graph, path, isList }) {
  const onPath = useMemo(() => nodesOnPath(graph, path), [graph, path]);
  return html`
    <${Remarks} graph=${graph} />
    ${isList ? html`<${GraphList} graph=${graph} onPath=${onPath} />` : html`<${Drawing} graph=${graph} onPath=${onPath} />`}
  `;
}

/** What is to be known of the whole: how much it is, what is missing, what needs each other. @param {{graph: import('./graph/shape.js').Graph}} props */
function Remarks({ graph }) {
  const missing = graph.nodes.filter((node) => node.state === 'MISSING');
  const found = useMemo(() => rings(graph), [graph]);
  const names = new Map(graph.nodes.map((node) => [node.node, nameOf(node)]));
  const further = graph.nodes.reduce((sum, node) => sum + node.further, 0);
  const what = graph.direction === 'deps' ? 'deps' : 'dependents';
  return html`<ul class="remarks">
    <li>${some(graph.looked_at, 'task')} in ${some(graph.nodes.length, 'node')}${graph.complete
        ? '.'
        : html`. <strong>Truncated</strong> at the nearest 1,000 tasks and 100 steps: ${some(further, what.slice(0, -1), what)} not looked at.`}</li>
    ${missing.length
      ? html`<li class="warn">Missing, so that nobody can run it: ${missing.slice(0, MOST_NAMED).map((node, index) => html`${index ? ', ' : ''}${node.task_id
          ? html`<a href=${href('graph', { id: node.task_id, direction: 'dependents' })}>${nameOf(node)}</a>`
          : nameOf(node)}`)}${missing.length > MOST_NAMED ? ` and ${missing.length - MOST_NAMED} more` : ''}.</li>`
      : null}
    ${found.slice(0, MOST_NAMED).map(
      (ring) => html`<li key=${ring.join()} class="warn">These need each other in a ring, and none of them can run:
        ${' '}${[...ring, ring[0]].map((name) => names.get(name)).join(' → ')}.</li>`,
    )}
  </ul>`;
}
