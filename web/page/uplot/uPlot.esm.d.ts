/** Weir serves uPlot's own file beside the others (src/observability/page-assets.ts). */
export { default } from 'uplot';
