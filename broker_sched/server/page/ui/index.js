// The parts that views are made of.

export { Answer, Empty, Failure, Loading } from './answer.js';
export { Bar, Meter } from './bar.js';
export { Button, Command } from './button.js';
export { Confirm, Dialog } from './confirm.js';
export { Copy, copy } from './copy.js';
export { Facts } from './facts.js';
export { Filters } from './filters.js';
export { FamilyLink, ResourceLink, SubmissionLink, TaskLink, WorkerLink } from './links.js';
export { More } from './more.js';
export { Notices, notify } from './notice.js';
export { Standing } from './standing.js';
export { State } from './state.js';
export { Table } from './table.js';
export { numberOf, ValueForm } from './value_form.js';
