/**
 * Requests that are odd as HTTP, to objects, documents and pages. Those that write are dry runs. What OpenAPI documents and
 * metrics answer has tests of its own.
 */
import type { RawGroup } from "./asking.ts";
import { bodyGroups } from "./body-requests.ts";
import { chainGroups } from "./chain-requests.ts";
import { formGroups } from "./form-requests.ts";
import { http2Groups } from "./http2-requests.ts";
import { messageGroups } from "./message-requests.ts";
import { methodGroups } from "./method-requests.ts";
import { routeGroups } from "./route-requests.ts";
import { targetGroups } from "./target-requests.ts";

export const groups: readonly RawGroup[] = [
  ...methodGroups,
  ...formGroups,
  ...messageGroups,
  ...targetGroups,
  ...http2Groups,
  ...bodyGroups,
  ...routeGroups,
  ...chainGroups,
];
