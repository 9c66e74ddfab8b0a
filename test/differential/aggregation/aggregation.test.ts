/** APIServices, good and broken ones, and what clients get of their groups, are as upstream's server has it (recorded by record.ts). */
import answers from "./answers.json";
import { answersOf } from "./conversation.ts";
import { replay } from "./replay.ts";

replay(answers, answersOf);
