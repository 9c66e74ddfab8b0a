import { posix } from "node:path";

/** As Go's path.Join, by which upstream's client makes its requests: without empty segments and a slash at the end. */
export const cleanPath = (path: string): string => posix.join("/", path).replace(/(?<=.)\/$/, "");
