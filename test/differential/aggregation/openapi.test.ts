/** OpenAPI documents of aggregated servers are merged and passed on as upstream's server does it (recorded by record.ts). */
import answers from "./openapi-answers.json";
import { openApiAnswersOf } from "./openapi-conversation.ts";
import { replay } from "./replay.ts";

replay(answers, (fetch, backings) => {
  const fetchJson: typeof fetch = (path, init) =>
    fetch(path, { ...init, headers: { accept: "application/json", ...(init?.headers as object) } });
  return openApiAnswersOf(fetchJson, backings);
});
