import { join } from "node:path";

export const eventsFile = join(import.meta.dir, "events.json.br");
