import { join } from "node:path";

export const answersFile = join(import.meta.dir, "answers.json.br");
