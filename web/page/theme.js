/**
 * Dark or light, as the system says or as was chosen here. Not a module: it runs before anything is drawn, so that nothing
 * flashes.
 */
(() => {
  const key = 'weir-theme';
  const root = document.documentElement;

  /** The browser may keep nothing. */
  const kept = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };

  /** @param {string | null} theme */
  const apply = (theme) => {
    if (theme === 'light' || theme === 'dark') root.dataset['theme'] = theme;
    else delete root.dataset['theme'];
    root.dispatchEvent(new Event('themechange'));
  };

  apply(kept());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => apply(kept()));
  document.addEventListener('DOMContentLoaded', () => {
    const choice = document.getElementById('theme');
    if (!(choice instanceof HTMLSelectElement)) return;
    choice.value = kept() ?? 'auto';
    choice.addEventListener('change', () => {
      try {
        localStorage.setItem(key, choice.value);
      } catch {
        // Then it holds until the page is closed.
      }
      apply(choice.value);
    });
  });
})();
