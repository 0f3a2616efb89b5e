"""Classes that check their data, documents, languages."""

REQUIREMENTS = (
    *("pydantic", "attrs", "msgspec", "sqlalchemy", "cattrs", "marshmallow", "pyyaml", "tomlkit"),
    *("orjson", "beautifulsoup4", "lxml", "spacy", "nltk", "markdown", "rapidfuzz", "regex"),
    *("jinja2", "textblob"),
)

NOTEBOOKS = {
    "pydantic": """
# models, generic models, validated functions, adapters
from typing import Generic, TypeVar, Annotated
import pydantic
from pydantic import BaseModel, Field, TypeAdapter, field_validator, validate_call, PrivateAttr, computed_field
T = TypeVar('T')
class Item(BaseModel):
    n: int = Field(gt=0); _p: int = PrivateAttr(default=4)
    @field_validator('n')
    @classmethod
    def even(cls, v): return v * 2
    @computed_field
    @property
    def big(self) -> int: return self.n * 100
class Box(BaseModel, Generic[T]):
    x: T
class Tree(BaseModel):
    kids: list['Tree'] = []
@validate_call
def f(a: int, b: Annotated[int, Field(lt=9)] = 2): return a + b
item = Item(n=2); box = Box[int](x=3); ad = TypeAdapter(list[Item]); tree = Tree(kids=[Tree()]); Dyn = pydantic.create_model('Dyn', z=(int, 5)); dyn = Dyn()
# %% restart
print(item, item._p, item.big, Item(n=3), type(item) is Item, isinstance(item, BaseModel))
# %%
print(box, type(box) is Box[int], Box[str](x='s'), Box[int].__name__, Box[int](x=4) == Box[int](x=4))
# %%
print(f('3'), ad.validate_python([{'n': 1}]), tree, dyn, Dyn(z=1))
# %%
try: Item(n=-1)
except pydantic.ValidationError as e: print(e.error_count(), e.errors()[0]['type'])
# %%
print(Item.model_json_schema()['title'], item.model_copy(update={'n': 9}), Box.model_fields)
""",
    "attrs": """
# classes, frozen and with slots
import attrs
@attrs.define
class P:
    x: int = attrs.field(validator=attrs.validators.ge(0)); y: list = attrs.Factory(list)
@attrs.frozen
class Q:
    a: int
    def twice(self): return super().__hash__() and self.a * 2
p, q = P(1), Q(2); s = {q: 'v'}
# %% restart
print(p, s[Q(2)], attrs.evolve(q, a=3), q.twice(), attrs.asdict(p))
# %%
try: P(-1)
except ValueError as e: print('refused')
""",
    "msgspec": """
# structs, encoders
import msgspec
class S(msgspec.Struct, frozen=True):
    a: int
    b: str = 'x'
class U(msgspec.Struct, tag='u'):
    n: int
s = S(1); enc = msgspec.json.Encoder(); dec = msgspec.json.Decoder(S); un = U(3)
# %% restart
print(s, s == S(1), hash(s) == hash(S(1)), msgspec.json.decode(b'{"a":2}', type=S), un)
# %%
print(enc.encode(s))
# %%
print(dec.decode(b'{"a":5}'))
""",
    "sqlalchemy": """
# tables, mapped classes, files; databases in memory are named
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, Session
class Base(DeclarativeBase): pass
class User(Base):
    __tablename__ = 'user'
    id: Mapped[int] = mapped_column(primary_key=True); name: Mapped[str]
engine = sa.create_engine('sqlite:///a.db'); Base.metadata.create_all(engine); meta = sa.MetaData(); t = sa.Table('t', meta, sa.Column('a', sa.Integer))
with Session(engine) as s: s.add(User(name='n')); s.commit()
stmt = sa.select(t.c.a).where(t.c.a > 1); mem = sa.create_engine('sqlite://')
# %% restart
print(stmt, meta.tables['t'] is t, t.c.a.type)
# %%
print(User.__table__.c.keys(), User(name='k').name)
# %%
with Session(engine) as s: print(s.scalars(sa.select(User.name)).all())
# %%
with mem.connect() as c: print(c.execute(sa.text('select 1')).all())
""",
    "cattrs": """
# converters with hooks
import attrs, cattrs
@attrs.define
class P:
    x: int
conv = cattrs.Converter(); conv.register_unstructure_hook(complex, lambda c: [c.real, c.imag]); conv.structure({'x': 1}, P)
# %% restart
print(conv.unstructure(1j), conv.structure({'x': '3'}, P))
""",
    "marshmallow": """
# schemas, registered by their names
from marshmallow import Schema, fields, post_load
class S(Schema):
    a = fields.Int(required=True)
    @post_load
    def made(self, data, **kw): return ('made', data)
class Outer(Schema):
    inner = fields.Nested('S')
s = S()
# %% restart
print(s.load({'a': '3'}), s.validate({}))
# %%
print(Outer().load({'inner': {'a': 1}}))
""",
    "pyyaml": """
# representers and constructors of cells
import yaml
class P:
    def __init__(self, x): self.x = x
yaml.add_representer(P, lambda d, p: d.represent_scalar('!p', str(p.x)), Dumper=yaml.SafeDumper)
yaml.add_constructor('!p', lambda l, n: P(int(l.construct_scalar(n))), Loader=yaml.SafeLoader)
print(yaml.safe_dump(P(3)))
# %% restart
print(yaml.safe_dump(P(4)))
# %%
print(yaml.safe_load('!p 5').x)
""",
    "tomlkit": """
# documents with comments
import tomlkit
d = tomlkit.parse('# c\\na = 1 # one\\n[t]\\nb = [1, 2]\\n'); t = d['t']
# %% restart
t['b'].append(3); d['new'] = 5; print(tomlkit.dumps(d))
""",
    "orjson": """
# numbers and arrays as texts
import orjson, numpy as np
o = orjson.OPT_SERIALIZE_NUMPY; frag = orjson.Fragment(b'{}')
# %% restart
print(orjson.dumps({'a': np.arange(2)}, option=o))
# %%
print(orjson.dumps([frag]))
""",
    "beautifulsoup4": """
# documents and their parts
from bs4 import BeautifulSoup
soup = BeautifulSoup('<div><p class="a">one</p><p>two</p></div>', 'html.parser'); p = soup.p; text = p.string; ps = soup.find_all('p'); made = soup.new_tag('b')
xml = BeautifulSoup('<r><i/></r>', 'lxml-xml')
# %% restart
p['class'] = 'new'; print(soup, soup.p is p)
# %%
print(p.parent is not None and p.parent.name, p.find_next_sibling('p'), ps[1].previous_sibling, text.parent is p)
# %%
ps[1].string = 'changed'; made.string = 'm'; soup.div.append(made); print(soup)
# %%
print(xml)
""",
    "lxml": """
# trees and elements; they are named, where they cannot be stored
from lxml import etree, html, objectify
root = etree.fromstring('<a><b x="1">t</b><c/></a>'); b = root[0]; xp = etree.XPath('//b'); doc = html.fromstring('<p>x</p>')
text = etree.tostring(root); o = objectify.fromstring('<a><n>3</n></a>')
# %% restart
print(text)
# %%
print(etree.tostring(root))
# %%
b.set('x', '2'); print(b.getparent().tag)
# %%
print(xp(etree.fromstring(text)))
# %%
print(doc.text, o.n)
""",
    "spacy": """
# pipelines, documents, spans, extension attributes, components of cells
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Token, Span
nlp = spacy.blank('en'); nlp.add_pipe('sentencizer')
@Language.component('mine')
def mine(doc): doc._.seen = True; return doc
Doc.set_extension('seen', default=False); Token.set_extension('loud', getter=lambda t: t.text.upper())
nlp.add_pipe('mine'); doc = nlp('Hello big world. Bye.'); span = doc[0:2]; tok = doc[1]; doc._.seen
matcher = spacy.matcher.Matcher(nlp.vocab); matcher.add('H', [[{'LOWER': 'big'}]]); Doc.set_extension('note', default='none'); doc._.note = 'own'
# %% restart
print([t.text for t in doc], len(list(doc.sents)), doc._.note)
# %%
print(doc._.seen, doc[0]._.loud, nlp.pipe_names)
# %%
print(nlp('New text here.')._.seen, [(s, e) for _, s, e in matcher(doc)])
# %%
print(span.text)
# %%
print(tok.text, tok.doc is doc)
""",
    "nltk": """
# trees, frequencies, grammars, stemmers
import nltk
from nltk import FreqDist, Tree, CFG, ConditionalFreqDist
fd = FreqDist('banana'); t = Tree.fromstring('(S (NP a) (VP b))'); st = nltk.PorterStemmer(); g = CFG.fromstring("S -> 'a' S | 'b'"); nltk.data.path.append('here')
parser = nltk.ChartParser(g); pt = nltk.ParentedTree.fromstring('(S (A x))'); cfd = ConditionalFreqDist([('a', 1), ('a', 2)])
# %% restart
print(fd.most_common(2), t[0].label(), st.stem('running'), list(parser.parse('a b'.split())), nltk.data.path[-1])
# %%
print(pt[0].parent() is pt, cfd['a'].N(), g.productions())
""",
    "markdown": """
# converters with extensions
import markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
class Up(Preprocessor):
    def run(self, lines): return [l.upper() for l in lines]
class Ext(Extension):
    def extendMarkdown(self, md): md.preprocessors.register(Up(md), 'up', 1)
md = markdown.Markdown(extensions=[Ext(), 'tables'])
# %% restart
print(md.convert('# hi'))
""",
    "rapidfuzz": """
# distances, prepared
from rapidfuzz import fuzz, process, distance
choices = ['apple', 'pear']; sc = fuzz.WRatio
# %% restart
print(process.extractOne('aple', choices, scorer=sc), distance.Levenshtein.distance('a', 'b'))
""",
    "regex": """
# patterns, matches
import regex
p = regex.compile(r'(?P<a>\\w+)\\s(?&a)'); m = p.search('one two'); s = regex.Scanner if hasattr(regex, 'Scanner') else None
# %% restart
print(p.findall('a b c d'), p.pattern)
# %%
print(m.group('a'))
""",
    "jinja2": """
# environments with filters of cells, templates
import jinja2
env = jinja2.Environment(loader=jinja2.DictLoader({'a': 'hi {{ x | loud }}'})); env.filters['loud'] = lambda s: s.upper(); t = env.get_template('a'); env.globals['g'] = 5
s = jinja2.Template('{{ 1 + 1 }}')
# %% restart
print(env.from_string('{{ g }}{{ "a" | loud }}').render(), env.get_template('a').render(x='you'))
# %%
print(t.render(x='b'))
# %%
print(s.render())
""",
    "textblob": """
# texts with their words
from textblob import TextBlob, Word
from textblob.base import BaseTokenizer
class Space(BaseTokenizer):
    def tokenize(self, text): return text.split()
b = TextBlob('good day sun', tokenizer=Space()); w = Word('cats'); b.tokens
# %% restart
print(b.tokens, b.upper(), w.pluralize())
""",
}
