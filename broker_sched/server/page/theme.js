// Sets the theme that was chosen before anything is drawn: a classic script in the head, not a module.
try {
  const chosen = localStorage.getItem('bsched-theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing for this site shows the system's theme.
}
