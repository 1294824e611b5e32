/** The chart library with its style, as one chunk. */
import 'uplot/dist/uPlot.min.css';
import uPlot from 'uplot';

export default uPlot;
