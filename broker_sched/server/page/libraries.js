// The libraries of all modules.
export { html } from 'htm/preact';
export { options, render } from 'preact';
export { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
