import type { ApiResponse, RequestContext } from "./request.ts";

/** Serves one non-resource path, after authentication and authorisation. */
export type PathHandler = (context: RequestContext) => Promise<ApiResponse>;
