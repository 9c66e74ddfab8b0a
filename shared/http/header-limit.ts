/**
 * What a request's line and headers may take together, at the API server and at the kubelets that it hands a command on
 * to: a command of `exec` travels in the line. Upstream takes 1 MiB, which many connections at once make too much for a
 * small board.
 */
export const MAX_HEADERS_BYTES = 256 * 1024;
