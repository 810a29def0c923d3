// The views: one line each. `load` fetches the file of a view when it is shown first.

/**
 * @typedef {object} View
 * @property {string} title
 * @property {string} method the caller must be allowed, to see the view
 * @property {string} [key] goes to it after `g`; only views that need no parameter have one, and a place in the header
 * @property {() => Promise<{default: any}>} load
 */

/** @type {Record<string, View>} */
export const views = {
  now: { title: 'Now', method: 'overview', key: 'n', load: () => import('./now.js') },
  tasks: { title: 'Tasks', method: 'tasks', key: 't', load: () => import('./tasks.js') },
  grid: { title: 'Grid', method: 'family_dates', key: 'f', load: () => import('./grid.js') },
  task: { title: 'Task', method: 'task_details', load: () => import('./task.js') },
  graph: { title: 'Graph', method: 'condensed_graph', load: () => import('./graph.js') },
  timeline: { title: 'Timeline', method: 'events', key: 'l', load: () => import('./timeline.js') },
  workers: { title: 'Workers', method: 'workers', key: 'w', load: () => import('./workers.js') },
  worker: { title: 'Worker', method: 'worker_details', load: () => import('./worker.js') },
  resources: { title: 'Resources', method: 'overview', key: 'r', load: () => import('./resources.js') },
  resource: { title: 'Resource', method: 'resource_details', load: () => import('./resource.js') },
  submissions: { title: 'Submissions', method: 'submission_list', key: 's', load: () => import('./submissions.js') },
  submission: { title: 'Submission', method: 'submission_details', load: () => import('./submission.js') },
  events: { title: 'Events', method: 'events', key: 'e', load: () => import('./events.js') },
  settings: { title: 'Settings', method: 'option_list', key: 'o', load: () => import('./settings.js') },
  audit: { title: 'Audit', method: 'audit', key: 'a', load: () => import('./audit.js') },
};
