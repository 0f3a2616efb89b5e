"""Models that are fitted."""

REQUIREMENTS = (
    *("scikit-learn", "xgboost", "lightgbm", "catboost", "shap", "imbalanced-learn", "optuna"),
    "joblib",
)

NOTEBOOKS = {
    "scikit-learn": """
# models, pipelines with functions and classes of cells, searches, configuration
import numpy as np, sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, FunctionTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.ensemble import RandomForestClassifier
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int); factor = 2
class Scale(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None): return self
    def transform(self, X): return X * factor
pipe = make_pipeline(Scale(), FunctionTransformer(lambda v: v + 1), StandardScaler(), LogisticRegression()).fit(X, y)
grid = GridSearchCV(Ridge(), {'alpha': [0.1, 1]}, cv=KFold(3, shuffle=True, random_state=1)).fit(X, y)
rf = RandomForestClassifier(5, random_state=np.random.RandomState(3)).fit(X, y); knn = KNeighborsClassifier().fit(X, y); sklearn.set_config(transform_output='pandas')
# %% restart
print(pipe.predict(X[:5]), grid.best_params_, rf.predict_proba(X[:2]), knn.predict(X[:3]))
# %%
print(type(StandardScaler().fit_transform(X)).__name__, pipe[0], rf.fit(X, y).predict_proba(X[:1]), sklearn.base.clone(pipe))
""",
    "xgboost": """
# boosters, matrices, objectives of cells
import numpy as np, xgboost as xgb
X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
def own(p, d): return p - d.get_label(), np.ones(len(p))
d = xgb.DMatrix(X, y); b = xgb.train({'max_depth': 2, 'nthread': 1}, d, 3); c = xgb.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, y); o = xgb.train({'nthread': 1}, d, 2, obj=own); xgb.set_config(verbosity=0)
# %% restart
print(b.predict(xgb.DMatrix(X[:3])), c.predict(X[:3]), o.predict(xgb.DMatrix(X[:2])), xgb.get_config()['verbosity'])
# %%
print(d.num_row())
# %%
b.update(xgb.DMatrix(X, y), 3); print(b.num_boosted_rounds(), b.best_iteration if 'best_iteration' in b.attributes() else None)
""",
    "lightgbm": """
# boosters, data sets, models
import numpy as np, lightgbm as lgb
X = np.random.default_rng(0).normal(size=(100, 3)); y = (X[:, 0] > 0).astype(int)
ds = lgb.Dataset(X, y); b = lgb.train({'objective': 'binary', 'verbose': -1, 'num_threads': 1}, ds, 5); c = lgb.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, y)
# %% restart
print(b.predict(X[:3]), c.predict(X[:3]), b.num_trees())
# %%
print(c.fit(X, y).predict_proba(X[:2]))
# %%
print(ds.num_data())
""",
    "catboost": """
# models, pools
import numpy as np, catboost as cb
X = np.random.default_rng(0).normal(size=(60, 3)); y = (X[:, 0] > 0).astype(int)
m = cb.CatBoostClassifier(iterations=3, verbose=0, thread_count=1, allow_writing_files=False).fit(X, y); pool = cb.Pool(X, y)
# %% restart
print(m.predict(X[:4]), m.tree_count_)
# %%
print(pool.num_row())
""",
    "shap": """
# explainers, explanations
import numpy as np, shap
from sklearn.ensemble import RandomForestRegressor
X = np.random.default_rng(0).normal(size=(40, 3)); r = RandomForestRegressor(3, random_state=0).fit(X, X[:, 0]); ex = shap.TreeExplainer(r); sv = ex(X[:5])
# %% restart
print(sv.values[0].round(4), sv[:, 1].shape)
# %%
print(ex.shap_values(X[:1]).round(4))
""",
    "imbalanced-learn": """
# samplers and pipelines
import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression
X = np.arange(20.).reshape(10, 2); y = np.array([0] * 8 + [1] * 2); p = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression()).fit(X, y)
# %% restart
print(p.predict(X[:3]), p.named_steps['randomoversampler'].fit_resample(X, y)[1].sum())
""",
    "optuna": """
# studies with their samplers, trials
import optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1), study_name='s')
def objective(t): return (t.suggest_float('x', -1, 1) - 0.5) ** 2 + t.suggest_int('k', 0, 3)
study.optimize(objective, 5)
# %% restart
print(len(study.trials), study.best_value, study.study_name)
# %%
study.optimize(objective, 3); print(len(study.trials), study.best_params)
# %%
print(optuna.logging.get_verbosity(), study.trials_dataframe().shape)
""",
    "joblib": """
# memories in folders, parallel calls
import joblib
mem = joblib.Memory('cache', verbose=0)
@mem.cache
def slow(x): print('computing'); return x + 1
slow(1); par = joblib.Parallel(1)
def twice(x): return x * 2
# %% restart
print(slow(1), par(joblib.delayed(twice)(i) for i in range(3)), joblib.hash([1]))
# %%
print(slow(2), slow(1))
""",
}
