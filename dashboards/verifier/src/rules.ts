// What the tests use of the rules.
export { fromArchive, fromFiles, ofBytes, whole } from './package';
export { verify } from './verify';
