/** The URL of a socket by its path, which may hold what a URL may not. */
export const socketUrl = (path: string): URL => new URL(`unix://${path.split("/").map(encodeURIComponent).join("/")}`);
