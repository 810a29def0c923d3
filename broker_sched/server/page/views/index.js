// The views: one line each.

import Audit from './audit.js';
import Events from './events.js';
import Graph from './graph.js';
import Grid from './grid.js';
import Now from './now.js';
import Resource from './resource.js';
import Resources from './resources.js';
import Settings from './settings.js';
import Submission from './submission.js';
import Submissions from './submissions.js';
import Task from './task.js';
import Tasks from './tasks.js';
import Timeline from './timeline.js';
import Worker from './worker.js';
import Workers from './workers.js';

/**
 * @typedef {object} View
 * @property {string} title
 * @property {string} method the caller must be allowed, to see the view
 * @property {string} [key] goes to it after `g`; only views that need no parameter have one, and a place in the header
 * @property {any} View the component, which is given `params`, the rest of the address
 */

/** @type {Record<string, View>} */
export const views = {
  now: { title: 'Now', method: 'overview', key: 'n', View: Now },
  tasks: { title: 'Tasks', method: 'tasks', key: 't', View: Tasks },
  grid: { title: 'Grid', method: 'family_dates', key: 'f', View: Grid },
  task: { title: 'Task', method: 'task_details', View: Task },
  graph: { title: 'Graph', method: 'condensed_graph', View: Graph },
  timeline: { title: 'Timeline', method: 'timeline', key: 'l', View: Timeline },
  workers: { title: 'Workers', method: 'workers', key: 'w', View: Workers },
  worker: { title: 'Worker', method: 'worker_details', View: Worker },
  resources: { title: 'Resources', method: 'resource_details', key: 'r', View: Resources },
  resource: { title: 'Resource', method: 'resource_details', View: Resource },
  submissions: { title: 'Submissions', method: 'submission_list', key: 's', View: Submissions },
  submission: { title: 'Submission', method: 'submission_details', View: Submission },
  events: { title: 'Events', method: 'events', key: 'e', View: Events },
  settings: { title: 'Settings', method: 'option_list', key: 'o', View: Settings },
  audit: { title: 'Audit', method: 'audit', key: 'a', View: Audit },
};
