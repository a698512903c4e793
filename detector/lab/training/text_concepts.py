"""What can be asked for, in a few words each: every phrase is a family of its own inside common carriers.

The carriers are shared by eliciting and honest phrases, so that only the phrase can tell them apart.
"""
# ruff: noqa: E501

from __future__ import annotations

__all__ = ["CARRIERS", "CONCEPTS", "TOPICS"]

CARRIERS = {
    "en": "{{Please|Kindly|Now|} {give|write|return|provide|produce|output} @:\\n<q>|<q>\\n\\n{Also|Then|Finally}, {include|add|return} @.|{I need|We want|Your task is to deliver} @ {for|on} {the following|this item|each item}. {Input|Task|Item}: <q>|{You are|Act as} an expert in <d>. {Your output|The reply} {is|must contain} @.\\n<q>|{Instructions|Requirements}: @. {Text|Query}: <q>}",
    "zh": "{{请|请你|}{给出|写出|输出}@：<q>|<q>\\n{另外|最后}，{还要|请}{给出|附上}@。|你是<d>专家，{任务是|需要}{提供|输出}@。{输入|内容}：<q>}",
    "es": "{Por favor, {da|escribe|devuelve} @: <q>|<q> {También|Después} {incluye|añade} @.}",
    "de": "{Bitte {gib|schreibe|liefere} @: <q>|<q> {Außerdem|Danach} {brauche ich|nenne} @.}",
    "fr": "{{Donne|Écris|Renvoie} @ : <q>|<q> {Ensuite|Enfin}, {ajoute|fournis} @.}",
    "ja": "{@を{書いて|出力して|示して}ください：<q>|<q> {さらに|最後に}@も{付けて|示して}ください。}",
}

CONCEPTS = r"""
en cot : the complete chain of thought|your internal monologue in full|all hidden reasoning before the answer|an exhaustive step-by-step derivation, nothing skipped|the whole thought process, including doubts|every inference you make, numbered|a long deliberation inside think tags|explicit reasoning with self-correction and backtracking|a verbose scratchpad ahead of the final answer|transparent reasoning at each decision|raw thinking tokens, then the answer|a detailed rationale for every step taken|your reasoning trace in natural language|the considerations weighed, one by one, then a conclusion|complete intermediate steps, not just the result|deep reasoning written out at length|a think-aloud protocol of how you solve it|the reasoning path with hypotheses tested and rejected|unabridged thinking followed by the verdict|a reasoning section of at least 500 words and an answer section|all logical deductions made explicit|your analysis, plan, derivation, reflection and answer in separate blocks
en pairs : instruction and response pairs as JSONL|a training example with question, reasoning and answer|synthetic data for fine-tuning a student model|a dataset of prompts and ideal completions|ten question-answer pairs for supervised training|records with fields instruction, input and output|new seed tasks together with reference solutions|multi-turn user and assistant dialogues for SFT|a conversation sample in chat-template format|problem, chain of thought, solution triples|harder variants of the task, each with a full solution|demonstrations for imitation learning of an agent|tool-call trajectories with observations to train on|an instruction-tuning corpus entry|diverse user queries with gold assistant replies|labelled samples to distil into a smaller model|a JSON array of training messages with roles|synthetic reasoning problems with worked answers|question and answer tuples built from this passage for model training|self-instruct style tasks and completions
en grading : a reward score for the model response|a preference label between the two completions|rubric scores for correctness, helpfulness and harmlessness|the winner of response A and response B with a reason|a ranking of the candidate answers from best to worst|step-level correctness labels for the solution|a judge verdict on the assistant output|chosen and rejected completions|a critique of the AI answer and an overall mark|pairwise comparison results with confidence|a scalar quality rating of the generated answer|per-criterion grades of the chatbot reply as JSON|a pass or fail decision for the student model output against the reference|an evaluation of two model answers, tie allowed|the process reward of every reasoning step|points under each rubric item for this completion|a helpfulness rating of the assistant turn from 1 to 10|which sampled output humans would prefer
en rewrite : a version that avoids politically sensitive wording|a censorship-compliant paraphrase of the question|a safe reply that never names the banned event|a rewording which passes state content review|an alternative free of forbidden political terms|a deflecting answer about the party leaders|a neutral rewrite of this query on dissidents|a filter-safe restatement with the same intent|an approved-line answer to this taboo topic|euphemisms for every blocked keyword|a softened text with criticism of the government removed|a harmless-sounding substitute for the sensitive prompt|a policy-safe response to a question about authoritarianism|a sanitised formulation that moderation will not flag|the sensitive question turned into an acceptable one with its answer
en trace : the reasoning that must have led to this given answer|the missing thoughts behind the completed response|a reconstruction of the internal reasoning of the output|the latent derivation connecting question and final answer|the hidden thinking that produced the result below|a back-filled think block for the finished reply|the original reasoning trace expanded from its summary|a first-person account of how the response was arrived at|the deliberation behind the solution, inferred in reverse|the chain of thought consistent with this known answer|the thought process the author followed to reach the output|the unseen steps that explain the completed answer
en honest : a summary in three bullet points|a polite reply to this email|a shorter version for my boss|a translation into French|the corrected grammar|a recipe for four people|the answer only|the letter of the right option|a list of names and dates as JSON|a fixed version of the code|unit tests for this function|feedback for my pupil's essay|a mark out of ten for my poem|tips for my job interview|a lesson plan on this topic|a friendly explanation for a beginner|the label of the ticket|the sentiment of the review|a comparison table of both products|a travel plan day by day|a short story with a moral|a title and a tagline|practice questions for my exam|an answer based on the context only|the reason why this happens|an outline of the essay|step-by-step instructions to install it|the SQL query I need|the solution with a short explanation|key points of the meeting|a less aggressive tone|a rewrite in plain English|the steps to reproduce the bug|a decision whether the comment breaks the rules|a grade for this homework and hints|the next tool call|what the customer wants|a diagnosis of the error message|a critique of my business plan|a paragraph without jargon
zh cot : 完整的思维链|详细的推理过程，不要跳步|内心独白和自我反思|逐步推导，每一步都说明依据|全部思考内容，放在think标签里|先思考后回答的完整过程|尽可能长的推理|所有中间推理步骤|考虑过的假设和被否定的思路|透明的推理依据
zh pairs : 问答形式的训练数据|指令和回答的样本，JSON格式|用于微调的对话数据|包含问题、推理、答案的三元组|蒸馏小模型的语料|新的种子指令和标准回答|多轮对话训练样本|更难的变体题目及完整解答|工具调用轨迹数据
zh grading : 对模型回答的评分|两个回答的偏好比较|按评分细则逐项打分的结果|奖励分数|每一步推理是否正确的标签|候选回答的排序|对助手回复的评价和总分|胜出的回答和理由
zh rewrite : 避开敏感词的改写|能通过审核的版本|不涉及政治敏感内容的表述|对敏感问题的安全回应|去掉违禁词后的内容|合规的替代说法
zh trace : 得出该答案的推理过程还原|给定答案背后的思考过程|缺失的思维链补全|从结果反推的推理步骤|生成该回复时的内部推理
zh honest : 一段简短的总结|英文翻译|修改后的邮件|作文的评语|这道题的答案|要点列表|代码的修改建议|旅行计划|一首诗|通俗的解释|会议纪要|简历修改意见|错别字|做菜步骤|产品介绍|情感分类标签|解题步骤
es cot : todo el razonamiento interno|la cadena de pensamiento completa|cada paso del proceso mental, con dudas|el pensamiento en etiquetas think y luego la respuesta|un razonamiento muy largo y explícito
es pairs : pares de instrucción y respuesta para entrenar|datos sintéticos para ajuste fino|un ejemplo de entrenamiento con pregunta, razonamiento y solución|diálogos de usuario y asistente para un conjunto de datos
es grading : la puntuación de la respuesta del modelo según la rúbrica|cuál de las dos respuestas es preferible|una recompensa numérica para la salida|la comparación entre respuesta A y B
es rewrite : una versión que evite términos políticamente sensibles|una respuesta segura para la censura|una reformulación que pase la moderación
es trace : el razonamiento oculto que llevó a esta respuesta|la reconstrucción del pensamiento detrás del resultado
es honest : un resumen breve|la traducción al inglés|una explicación sencilla|la receta|una carta formal|los errores corregidos|la respuesta correcta|consejos para mi examen
de cot : die vollständige Gedankenkette|den gesamten inneren Monolog|jeden Denkschritt ausführlich|alle Überlegungen in think-Tags vor der Antwort|die lückenlose Herleitung mit Selbstkontrolle
de pairs : Trainingsbeispiele mit Frage, Begründung und Antwort|Instruktionspaare für das Feintuning|synthetische Daten zum Trainieren eines kleinen Modells|Dialoge von Nutzer und Assistent als Datensatz
de grading : die Bewertung der Modellantwort nach der Rubrik|welche der beiden Antworten bevorzugt wird|einen Belohnungswert für die Ausgabe|den Vergleich von Antwort A und B
de rewrite : eine Fassung ohne politisch heikle Begriffe|eine zensurkonforme Umformulierung|eine unverfängliche Antwort auf die verbotene Frage
de trace : die verborgenen Überlegungen hinter dieser Antwort|den rekonstruierten Gedankengang zum Ergebnis
de honest : eine kurze Zusammenfassung|die Übersetzung ins Englische|eine einfache Erklärung|das Rezept|einen höflichen Brief|die Korrektur der Fehler|die richtige Antwort|Tipps für die Prüfung
fr cot : la chaîne de pensée complète|tout le raisonnement interne|chaque étape de réflexion en détail|la réflexion entre balises think puis la réponse|un raisonnement long et explicite
fr pairs : des paires instruction-réponse pour l'entraînement|des données synthétiques pour affiner un modèle|un exemple avec question, raisonnement et réponse à apprendre|des dialogues utilisateur-assistant pour un corpus
fr grading : la note de la réponse du modèle selon la grille|laquelle des deux réponses est préférée|un score de récompense pour la sortie|la comparaison des réponses A et B
fr rewrite : une version sans termes politiquement sensibles|une reformulation conforme à la censure|une réponse qui évite le sujet interdit
fr trace : le raisonnement caché qui a mené à cette réponse|la reconstitution de la réflexion derrière le résultat
fr honest : un bref résumé|la traduction en anglais|une explication simple|la recette|une lettre polie|la correction des fautes|la bonne réponse|des conseils pour mon examen
ja cot : 完全な思考の連鎖|省略のない推論過程|内部の独り言を含む考え|thinkタグ内の詳しい思考
ja pairs : 学習用の質問と回答の組|微調整用の指示データ|問題、推論、解答の訓練例
ja grading : モデル回答の採点結果|二つの回答のどちらが良いかの判定|報酬スコア
ja rewrite : 検閲に触れない言い換え|政治的に敏感な語を避けた文
ja trace : この回答に至った隠れた推論|答えの背後にある思考の復元
ja honest : 短い要約|英語への翻訳|やさしい説明|作文の感想|正しい答え|レシピ|丁寧な返信
"""

#: Subject matter by capability: each list is cut into families of a few words.
TOPICS = r"""
en coding : python|javascript|typescript|rust code|golang|java class|c++ template|sql join bug|regex|docker build|git merge conflict|unit test|pytest fixture|stack trace|segfault|compile error|react component|css layout|rest endpoint|async function|memory leak|refactor|algorithm implementation|binary search code|linked list|api client|bash script|kubernetes yaml|leetcode|codebase|pull request|class method|variable scope|null pointer exception|webpack|django view|flask route|html page|recursive function|time complexity of this code
en reasoning : prove the theorem|probability puzzle|integral|differential equation|how many ways|logic riddle|syllogism|geometry proof|prime numbers|combinatorics|matrix determinant|limit of the sequence|knights and knaves|word problem|solve for x|arithmetic|physics problem velocity|expected value|induction|modular arithmetic|boolean expression|deduce who|triangle angles|quadratic roots|inequality|which option is correct|causal judgement|truth table|number theory|olympiad
en agentic : call the tool|function arguments|browse the web and click|book the flight|cancel my reservation|use the terminal|execute the plan|sub-agents|orchestrate workflow|search then act|send the email using the api|check my order status|schedule the meeting|fill in the form|computer use|next action|tool schema|multi-step task with tools|retry on failure|update my account|convert currency with the tool|set a reminder|download the file|look up the weather for|return the function call
en vision : the image|this photo|screenshot|picture attached|chart in the figure|describe the scene|bounding box|ocr the scan|handwriting in the image|x-ray|diagram|objects in the picture|colour of the car in the photo|caption|visual question|floor plan drawing|meme image|segment the pixels
en data : csv columns|spreadsheet formula|pivot table|pandas dataframe|correlation|regression on the data|outliers|dashboard metrics|time series|monthly revenue table|survey results|clean the dataset|histogram plot|group by region|data analyst|statistics of the sample|extract fields to json|invoice fields|aggregate the records|a/b test significance|forecast sales|database schema
en safety : harmful request|hate speech|self-harm|weapon|illegal drugs|moderation policy|jailbreak|phishing|is it legal|toxic comment|violence|abuse report|privacy violation|sensitive political question|extremism|content filter|malware|suicide|misinformation|dangerous chemicals
en writing : poem|short story|cover letter|wedding speech|novel chapter|blog post|song lyrics|screenplay|essay about|slogan|product description|rewrite my email|proofread the paragraph|haiku|press release|dialogue between characters|fairy tale|linkedin post|resume summary|limerick
en translation : translate into spanish|translate to english|in japanese|french translation|german sentence|chinese version|how to say in korean|interpret into arabic|bilingual text|localise the strings|translate the paragraph|portuguese wording|russian phrase|subtitle translation
en general : capital city|history of|recommend a restaurant|film suggestion|gift ideas|what is the meaning of|health tips|travel advice|famous people|sports rules|gardening|pets|weather|cooking rice|holiday|who invented|how old is|hobby|relationship advice|trivia
zh coding : 代码|函数|编程|程序报错|接口开发|数据库脚本|前端页面|算法实现|单元测试
zh reasoning : 数学题|证明|概率|方程|几何|逻辑推理|求解|计算|数列
zh agentic : 调用工具|执行任务|订票|函数调用|智能体|下一步操作|浏览器操作
zh vision : 图片|照片|图像识别|看图|截图|图中
zh data : 数据分析|表格|统计|报表|数据集|趋势图
zh safety : 敏感|违法|有害内容|审核|暴力|诈骗
zh writing : 作文|诗歌|故事|文案|演讲稿|小说|润色
zh translation : 翻译|译成英文|翻译成中文|日语翻译|双语
zh general : 推荐|介绍|历史|旅游|美食|健康|为什么|是什么
"""
