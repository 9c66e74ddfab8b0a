import type { ApiResponse, RequestContext } from "./request.ts";

/** Serves one non-resource path by an answer alone; fits where the server takes handlers that may use the raw exchange. */
export type PathHandler = (context: RequestContext) => Promise<ApiResponse>;
