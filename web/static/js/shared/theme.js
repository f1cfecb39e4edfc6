// Sets the chosen theme before the first paint; therefore a plain script, loaded ahead of the modules.
try {
  const theme = localStorage.getItem("batch-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden; the system's theme then applies.
}
