(() => {
  const problems = [];
  const name = (e) => e.tagName.toLowerCase() + (e.className ? "." + e.className : "") + " " + JSON.stringify(e.textContent.slice(0, 30));

  if (document.documentElement.scrollWidth > innerWidth) problems.push("the page is wider than the screen");
  if (document.querySelectorAll("h1").length !== 1) problems.push("there is not one heading of the first rank");
  if (document.getAnimations().length > 0) problems.push("something moves");

  for (const e of document.querySelectorAll("a, button, input, textarea")) {
    if (!(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent)) problems.push(name(e) + " has no name");
    const box = e.getBoundingClientRect();
    if (e.matches("button, input, textarea, .button") && box.height < 44) problems.push(name(e) + " is lower than 44 pixels");
  }

  // Contrast, as WCAG 2 has it: 4.5 for text, 3 for large text. A canvas knows what every colour is in numbers.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const seen = (colors) => { // painted one over the other
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = ([r, g, b]) => {
    const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const behind = [];
    for (let up = e; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
    const [dark, light] = [luminance(seen(behind)), luminance(seen([...behind, style.color]))].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) problems.push(`${name(e)} has a contrast of ${ratio.toFixed(2)}`);
  }
  return problems;
})()
