import collections
from tests.integration import test_state_machine as t
C=collections.Counter()
orig=t.StockMachine.agree
import inspect
def agree(self,w,p,a):
    self.pass_time(w)
    name=inspect.stack()[1].function
    C[name]+=1
    if self.model.overdue(self.model.items): C[name+" with overdue"]+=1
    try:
        with self.model.all_or_nothing():
            p_=p()
            raise t.Refused("ok")
    except t.Refused as e: C[name,str(e)]+=1
    return orig(self,"",p,a)
t.StockMachine.agree=agree
oi=t.StockMachine.__init__
def init(self):
    C["examples"]+=1; oi(self)
t.StockMachine.__init__=init
def test_x(machine):
    bad=[]
    for n in t.ROUNDS:
        try: t.run_state_machine_as_test(t.seed(n)(machine), settings=t.ENOUGH_TO_FIND)
        except BaseException as e: bad.append((n,repr(e)[:300]))
    print(bad)
    for k,v in sorted(C.items(),key=str): print(k,v)
    assert 0
from tests.integration.test_state_machine import machine
