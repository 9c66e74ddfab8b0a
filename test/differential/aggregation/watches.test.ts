/** Watches of aggregated servers come through as upstream's server has them (recorded by record.ts). */
import { replay } from "./replay.ts";
import answers from "./watch-answers.json";
import { watchAnswersOf } from "./watch-conversation.ts";

replay(answers, watchAnswersOf);
